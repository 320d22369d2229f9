import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { send } from "../../api/client";
import { type Measured, measuring, type Profile, useDatasets } from "../../api/models";
import { share, span, value } from "../../lib/format";
import { Button } from "../../ui/Button";
import { Dialog } from "../../ui/Dialog";
import { Choice, Field } from "../../ui/Field";
import { type Level, Tag } from "../../ui/Sign";
import { Trouble } from "../../ui/Trouble";
import { When } from "../../ui/When";
import { w } from "../../words";

const words = w.models.layers;
const LEVEL: Record<Profile["state"], Level> = { queued: "unknown", running: "active", stopping: "active", done: "good", failed: "bad", cancelled: "unknown" };

/** Asks on what, and for how long, and starts it. */
export function MeasureDialog({ version, before, onClose }: { version: string; before: string; onClose: () => void }) {
  const client = useQueryClient();
  const datasets = useDatasets();
  const ready = datasets.data?.filter((one) => one.state === "ready") ?? [];
  const [chosen, setChosen] = useState<string | null>(null);
  const [seconds, setSeconds] = useState("60");
  const usual = ready.find((one) => one.id === before) ?? ready[0];
  const dataset = chosen ?? usual?.id ?? "";
  const start = useMutation({
    mutationFn: () => send<Profile>("POST", `/versions/${version}/profile`, { dataset: dataset || null, seconds: Number(seconds) }),
    onSuccess: (made) => {
      client.setQueryData(["models", "profile", version], made);
      onClose();
    },
  });
  return (
    <Dialog title={words.dialog.title} onClose={onClose}>
      <form className="space-y-4" onSubmit={(event) => { event.preventDefault(); start.mutate(); }}>
        <p className="text-mute">{words.dialog.told}</p>
        {datasets.error !== null && <Trouble error={datasets.error} again={() => void datasets.refetch()} />}
        <Choice label={words.dialog.dataset} hint={words.dialog.hint} value={dataset} disabled={datasets.isPending} onChange={(event) => setChosen(event.target.value)}>
          {ready.map((one) => <option key={one.id} value={one.id}>{one.name}</option>)}
          <option value="">{words.dialog.none}</option>
        </Choice>
        <Field label={words.dialog.seconds} hint={words.dialog.secondsHint} type="number" min={1} max={3600} required value={seconds} onChange={(event) => setSeconds(event.target.value)} />
        {start.error && <Trouble error={start.error} />}
        <div className="flex justify-end gap-2">
          <Button onClick={onClose}>{w.cancel}</Button>
          <Button kind="primary" type="submit" disabled={start.isPending || datasets.isPending}>{words.dialog.start}</Button>
        </div>
      </form>
    </Dialog>
  );
}

/** Where the newest measurement is, while it is not done; what went wrong. */
export function Course({ one, may }: { one: Profile; may: boolean }) {
  const client = useQueryClient();
  const stop = useMutation({
    mutationFn: () => send<Profile>("POST", `/versions/${one.version}/profile/cancel`, {}),
    onSuccess: (now) => client.setQueryData(["models", "profile", one.version], now),
  });
  if (one.state === "done") return null;
  return (
    <div className="rounded border border-line px-3 py-2 space-y-1">
      <div className="flex items-center gap-2 min-h-8">
        <p role="status" className="flex-1 min-w-0">
          <Tag level={LEVEL[one.state]}>{words.states[one.state]}</Tag>
          {one.state === "running" && one.stage && <span className="text-mute num text-sm"> {words.progress(words.stages[one.stage] ?? one.stage, one.tried, span(one.elapsed_s))}</span>}
        </p>
        {may && measuring(one) && one.state !== "stopping" && <Button disabled={stop.isPending} onClick={() => stop.mutate()}>{words.stop}</Button>}
      </div>
      {one.reason && <p className={`break-words ${one.state === "failed" ? "text-bad" : "text-mute"}`}>{one.reason}</p>}
      {one.result && <p className="text-sm text-mute">{words.before}</p>}
      {stop.error && <Trouble error={stop.error} />}
    </div>
  );
}

/** What was measured, where, on what and when. */
export function Conditions({ found }: { found: Measured }) {
  const datasets = useDatasets();
  const name = datasets.data?.find((one) => one.id === found.dataset)?.name ?? (datasets.isPending ? "…" : words.gone);
  const cpu = typeof found.machine.cpu === "string" ? found.machine.cpu : "";
  const libraries = (typeof found.machine.libraries === "object" ? found.machine.libraries : null) as Record<string, unknown> | null;
  const engine = [found.engine, libraries?.[found.engine]].filter((part) => typeof part === "string").join(" ");
  const added = found.operators.filter((one) => !one.layers.length);
  const ms = added.reduce((sum, one) => sum + one.ms, 0);
  const part = added.reduce((sum, one) => sum + one.share, 0);
  const ranked = found.sensitivity.length;
  return (
    <div className="text-sm text-mute space-y-1 break-words">
      <p>{words.timed(words.where(found.host, cpu), engine, found.threads, found.timed_on === "noise" ? words.noise : words.samplesOf(name))}, <When at={found.at} />. {words.slowed}</p>
      {added.length > 0 && <p>{words.added([...new Set(added.map((one) => one.op))].join(", "), value(ms), share(part, 1))}</p>}
      {ranked > 0 && <p>{words.ranked(ranked, found.samples, name)}</p>}
      {found.why && <p>{ranked ? words.partly(found.why) : words.noRank(found.why)}</p>}
      {found.notes.map((note) => <p key={note}>{note}</p>)}
    </div>
  );
}
