import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useId, useState } from "react";
import { Link } from "wouter";
import { useMay } from "../../api/account";
import { useBundles } from "../../api/artifacts";
import { MOST_SECONDS, MOST_SUBJECTS, useDevices, useGroups, useNamed, type Whole } from "../../api/benchmarks";
import { Problem, send } from "../../api/client";
import { span } from "../../lib/format";
import { useGo, useParam, useParams } from "../../lib/url";
import { Button } from "../../ui/Button";
import { Field } from "../../ui/Field";
import { Card, Page } from "../../ui/Page";
import { Sign } from "../../ui/Sign";
import { Trouble } from "../../ui/Trouble";
import { w } from "../../words";
import { type Asked, chosenBundle, chosenVersion, isVersion, lacking, problems } from "./asking";
import { Library } from "./Library";
import { Subjects } from "./Subjects";
import { Where } from "./Where";

const words = w.benchmarks.ask;
const PLACES = w.benchmarks.places;
const TIMES = [2, 5, 10, 15, 20, 30, 45, 60, 90, 120, 180, MOST_SECONDS];

function nearest(seconds: number): number {
  const at = TIMES.findIndex((one) => one >= seconds);
  return at < 0 ? TIMES.length - 1 : at;
}

/** What is to be measured, where, for how long. All of it stands in the address; what cannot run is told before it is sent. */
export function Ask() {
  const [ids, setIds] = useParams("subject");
  const [names, setNames] = useParams("device");
  const [hub, setHub] = useParam("hub", "yes");
  const [group, setGroup] = useParam("group");
  const [title, setTitle] = useParam("name");
  const [time, setTime] = useParam("seconds", "10");
  const [seed, setSeed] = useState(0);
  const may = useMay()("benchmarks.write");
  const bundles = useBundles();
  const groups = useGroups();
  const versions = ids.filter(isVersion);
  const named = useNamed(versions);
  const devices = useDevices(names);
  const client = useQueryClient();
  const go = useGo();
  const why = useId();
  const seconds = Math.min(MOST_SECONDS, Math.max(1, Number(time) || 10));
  const subjects = ids.map((id) => {
    const told = named[versions.indexOf(id)];
    return isVersion(id) && told ? chosenVersion(id, told) : chosenBundle(id, bundles.data);
  });
  const asked: Asked[] = names.map((name, i) => {
    const told = devices[i];
    const gone = told?.error instanceof Problem && (told.error.status === 404 || told.error.status === 422);
    return { name, device: told?.data, trouble: gone ? words.noDevice(name) : told?.data?.revoked ? words.revokedOne(name) : "" };
  });
  const inGroup = groups.data?.items.find((one) => one.name === group);
  const wrong = problems(subjects, asked, hub === "yes", group ? { name: group, devices: inGroup?.devices ?? 0 } : null);
  const notes = lacking(subjects, asked);
  const start = useMutation({
    mutationFn: () => send<Whole>("POST", "/benchmarks", { subjects: ids, hub: hub === "yes", devices: names, group, seconds, seed, name: title.trim() }),
    onSuccess: async (made) => {
      client.setQueryData(["benchmarks", "one", made.id], made);
      await client.invalidateQueries({ queryKey: ["benchmarks", "list"] });
      go(`/benchmarks/${made.id}`);
    },
  });
  const count = asked.filter((one) => !group || one.device?.group !== group).length + (inGroup?.devices ?? 0);
  return (
    <Page title={words.title} told={<>{words.told} · <Link href="/benchmarks" className="text-accent underline decoration-line underline-offset-2 hover:decoration-accent">{w.benchmarks.back}</Link></>}>
      {!may && <p className="mb-4 flex items-center gap-2"><Sign level="attention" label="" />{words.mayNot}</p>}
      <form className="grid gap-4 items-start grid-cols-1 xl:grid-cols-[minmax(0,1fr)_minmax(0,420px)] max-w-6xl" onSubmit={(event) => { event.preventDefault(); if (!wrong.length) start.mutate(); }}>
        <Card title={words.subjects} action={<span className="text-mute num">{words.chosen(ids.length, MOST_SUBJECTS)}</span>}>
          <Subjects list={subjects} devices={Boolean(group || names.length)} onChange={setIds} />
          <Library bundles={bundles.data} error={bundles.error} chosen={ids} onChange={setIds} />
        </Card>
        <div className="space-y-4 min-w-0">
          <Card title={words.where}>
            <Where hub={hub === "yes"} group={group} groups={groups.data?.items} devices={asked} onHub={(on) => setHub(on ? "yes" : "no")} onGroup={setGroup} onDevices={setNames} />
          </Card>
          <Card title={words.how}>
            <div className="p-4 space-y-4">
              <Field label={words.name} hint={words.nameHint} value={title} maxLength={120} onChange={(e) => setTitle(e.target.value)} />
              <label className="block">
                <span className="flex justify-between text-sm font-medium">{words.seconds}<span className="num font-normal">{span(seconds)}</span></span>
                <input type="range" min={0} max={TIMES.length - 1} step={1} value={nearest(seconds)} aria-valuetext={span(seconds)} onChange={(e) => setTime(String(TIMES[Number(e.target.value)]))} className="w-full" />
              </label>
              <details><summary className="text-mute cursor-pointer">{w.studio.more}</summary><div className="pt-3"><Field label={words.seed} hint={words.seedHint} type="number" min={0} value={seed} onChange={(e) => setSeed(Math.max(0, Math.floor(Number(e.target.value) || 0)))} /></div></details>
            </div>
          </Card>
          {notes.map((one) => <p key={one} className="flex gap-2"><span className="h-5 flex items-center"><Sign level="attention" label="" /></span><span className="[overflow-wrap:anywhere]">{one}</span></p>)}
          <div id={why} aria-live="polite">
            {wrong.length > 0 && (
              <section aria-label={words.stopped} className="rounded border border-line bg-paper p-4 space-y-1.5">
                <h2 className="text-sm font-medium">{words.stopped}</h2>
                {wrong.map((one) => <p key={one} className="flex gap-2"><span className="h-5 flex items-center"><Sign level="attention" label="" /></span><span className="[overflow-wrap:anywhere]">{one}</span></p>)}
              </section>
            )}
          </div>
          {start.error && <Trouble error={start.error} />}
          <div className="space-y-2">
            {!wrong.length && <p className="text-mute">{words.sum(ids.length, PLACES(hub === "yes", count), span(seconds))}</p>}
            <Button kind="primary" type="submit" className="w-full" aria-describedby={why} disabled={!may || start.isPending || wrong.length > 0}>{words.start}</Button>
          </div>
        </div>
      </form>
    </Page>
  );
}
