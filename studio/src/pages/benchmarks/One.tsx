import { useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { Link } from "wouter";
import { useMay } from "../../api/account";
import { open, useBenchmark, type Whole } from "../../api/benchmarks";
import { isMissing } from "../../api/jobs";
import { Problem, send } from "../../api/client";
import { span } from "../../lib/format";
import { useGo, useParam } from "../../lib/url";
import { Bones, Empty } from "../../ui/Bones";
import { Button, ButtonLink } from "../../ui/Button";
import { Segments } from "../../ui/Field";
import { Page } from "../../ui/Page";
import { Tag } from "../../ui/Sign";
import { Sure } from "../../ui/Sure";
import { Trouble } from "../../ui/Trouble";
import { When } from "../../ui/When";
import { w } from "../../words";
import { Key } from "./Key";
import { InShort } from "./InShort";
import { PlaceCard } from "./PlaceCard";
import { called, key, longTails, STATE, there } from "./reading";
import { type Axis, scaled } from "./scale";

const words = w.benchmarks;

/** One benchmark: a row for each place, in it the subjects side by side. */
export function One({ id }: { id: string }) {
  const told = useBenchmark(id);
  const it = told.data;
  const gone = isMissing(told.error) || (told.error instanceof Problem && told.error.status === 422);
  if (!it) {
    return (
      <Page title={words.title} told={words.question}>
        {gone ? <Empty {...words.gone}><ButtonLink href="/benchmarks">{words.back}</ButtonLink></Empty> : told.error ? <Trouble error={told.error} again={() => void told.refetch()} /> : <Bones rows={6} height={120} />}
      </Page>
    );
  }
  const failed = it.places.filter((one) => one.state === "failed").length;
  const over = it.places.filter((one) => !open(one)).length;
  return (
    <Page
      title={called(it)}
      told={
        <>
          <Tag level={STATE[it.state]}>{words.whole[it.state]}</Tag>{it.state !== "failed" && failed > 0 && <span>, <Tag level="bad">{words.andFailed(failed)}</Tag></span>}
          {it.state === "running" && it.places.length > 1 && <span className="num">, {words.progress(over, it.places.length)}</span>}
          {" · "}<When at={it.made} /> · {words.about(span(it.seconds))} · <Link href="/benchmarks" className="text-accent underline decoration-line underline-offset-2 hover:decoration-accent whitespace-nowrap">{words.back}</Link>
        </>
      }
      action={<Actions it={it} />}
    >
      <Places it={it} />
    </Page>
  );
}

function Places({ it }: { it: Whole }) {
  const long = longTails(it.places);
  const [axis, setAxis] = useParam("axis", long ? "log" : "linear");
  const [scale, setScale] = useParam("scale", "own");
  const [chosen, setChosen] = useParam("place", key(it.places[0] ?? { kind: "hub", name: "", state: "done", reason: "" }));
  const measured = it.places.filter((one) => there(one.result).length > 0);
  const all = scale === "same" ? scaled(it.places, axis as Axis) : null;
  return (
    <div className="space-y-3">
      <div className="flex flex-wrap items-center gap-x-5 gap-y-2 min-h-8">
        <Key subjects={it.subjects} />
        {measured.length > 0 && (
          <div className="flex flex-wrap gap-2 ml-auto">
            {measured.length > 1 && <Segments label={words.scale.label} value={scale} onChange={setScale} options={[["own", words.scale.own], ["same", words.scale.same]]} />}
            <Segments label={words.axis.label} value={axis} onChange={setAxis} options={[["linear", words.axis.linear], ["log", words.axis.log]]} />
          </div>
        )}
      </div>
      {measured.length > 1 && it.subjects.length > 1 && <InShort subjects={it.subjects} places={measured} />}
      {it.places.map((place) => (
        <PlaceCard
          key={key(place)} place={place} subjects={it.subjects} axis={axis as Axis} scale={all ?? scaled([place], axis as Axis)}
          on={chosen === key(place)} onToggle={() => setChosen(chosen === key(place) ? "none" : key(place))}
        />
      ))}
    </div>
  );
}

function Actions({ it }: { it: Whole }) {
  const may = useMay()("benchmarks.write");
  const client = useQueryClient();
  const go = useGo();
  const [sure, setSure] = useState<"cancel" | "remove" | "">("");
  if (!may) return null;
  const still = it.places.filter(open).length;
  const devices = it.places.filter((one) => one.kind === "device");
  const hub = it.places.length > devices.length;
  const query = new URLSearchParams([
    ["new", "1"], ...it.subjects.map((one) => ["subject", one.id]), ...devices.map((one) => ["device", one.name]), ...(hub ? [] : [["hub", "no"]]),
    ...(it.name ? [["name", it.name]] : []), ["seconds", String(it.seconds)],
  ] as [string, string][]);
  const anew = () => client.invalidateQueries({ queryKey: ["benchmarks"] });
  return (
    <>
      {it.state === "running" ? <Button onClick={() => setSure("cancel")}>{words.cancel}</Button> : <Button kind="quiet" onClick={() => setSure("remove")}>{words.remove}</Button>}
      {it.state !== "running" && <ButtonLink kind="primary" href={`/benchmarks?${query.toString()}`}>{words.again}</ButtonLink>}
      {sure === "cancel" && <Sure title={words.cancel} told={words.cancelTold(words.cancelPlaces(still))} action={words.cancel} danger onClose={() => setSure("")} work={() => send("POST", `/benchmarks/${it.id}/cancel`, {}).then(anew)} />}
      {sure === "remove" && (
        <Sure
          title={words.remove} told={words.removeTold(called(it), words.places(hub, devices.length))} action={words.remove} danger onClose={() => setSure("")}
          work={async () => { await send("DELETE", `/benchmarks/${it.id}`); go("/benchmarks"); await client.invalidateQueries({ queryKey: ["benchmarks", "list"] }); }}
        />
      )}
    </>
  );
}
