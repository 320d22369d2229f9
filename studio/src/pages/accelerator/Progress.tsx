import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { Link } from "wouter";
import { useMay } from "../../api/account";
import { send, type Told } from "../../api/client";
import { type Job, OVER } from "../../api/studio";
import { span } from "../../lib/format";
import { useGo } from "../../lib/url";
import { Button, ButtonLink } from "../../ui/Button";
import { Tag, type Level } from "../../ui/Sign";
import { Trouble } from "../../ui/Trouble";
import { w } from "../../words";
import { Release } from "./Release";

const LEVELS: Record<Job["state"], Level> = { queued: "unknown", running: "active", stopping: "active", done: "good", infeasible: "attention", failed: "bad", cancelled: "unknown" };

/** How far a job is: budget, candidates, time left; and the way to stop it without losing what it found. */
export function Progress({ job }: { job: Job }) {
  const client = useQueryClient();
  const may = useMay()("jobs.write");
  const order = useMutation({
    mutationFn: (what: { keep: boolean } | "retry") => (what === "retry" ? send("POST", `/optimization-jobs/${job.id}/retry`) : send("POST", `/optimization-jobs/${job.id}/cancel`, what)),
    onSuccess: () => client.invalidateQueries({ queryKey: ["jobs"] }),
  });
  const benches = useMay()("benchmarks.write");
  const releases = useMay()("rollouts.write");
  const keeps = useMay()("models.write");
  const go = useGo();
  const kept = useMutation({
    mutationFn: () => send<Told["VersionTold"]>("POST", `/optimization-jobs/${job.id}/version`),
    onSuccess: async (made) => {
      await client.invalidateQueries({ queryKey: ["models"] });
      go(`/models?model=${made.model}&version=${made.id}`);
    },
  });
  const [releasing, setReleasing] = useState(false);
  const over = OVER.has(job.state);
  const { elapsed_s: elapsed = 0, left_s: left, tried = 0, stage = "", helpers = 0, helped = 0 } = job.progress ?? {};
  const whole = over ? 1 : elapsed / Math.max(elapsed + (left ?? job.wish.budget_s ?? 0), 1);
  return (
    <div className="space-y-2">
      <div className="flex items-center gap-2 flex-wrap min-h-8">
        <span className="font-medium mr-auto"><Tag level={LEVELS[job.state]}>{w.studio.states[job.state]}</Tag></span>
        {may && !over && job.state !== "stopping" && tried > 0 && <Button kind="primary" disabled={order.isPending} onClick={() => order.mutate({ keep: true })}>{w.studio.stop}</Button>}
        {may && !over && <Button disabled={order.isPending} onClick={() => order.mutate({ keep: false })}>{w.studio.cancel}</Button>}
        {may && (job.state === "failed" || job.state === "cancelled") && <Button onClick={() => order.mutate("retry")}>{w.studio.retry}</Button>}
        {job.state === "done" && job.result?.bundle && releases && <Button kind="primary" onClick={() => setReleasing(true)}>{w.studio.release}</Button>}
        {job.state === "done" && job.result?.bundle && keeps && <Button disabled={kept.isPending} onClick={() => kept.mutate()}>{w.studio.keep}</Button>}
        {job.state === "done" && job.result?.bundle && <ButtonLink href={`/sdk-export?bundle=${job.result.bundle}`}>{w.studio.export}</ButtonLink>}
        {job.state === "done" && job.result?.bundle && benches && <ButtonLink href={`/benchmarks?new=1&subject=${job.version}&subject=${job.result.bundle}`}>{w.benchmarks.word}</ButtonLink>}
      </div>
      <div className="h-1.5 rounded-sm bg-line overflow-hidden" role="progressbar" aria-label={w.studio.budget} aria-valuenow={Math.round(100 * whole)} aria-valuemin={0} aria-valuemax={100}>
        <div className={`h-full ${job.state === "failed" ? "bg-bad" : "bg-accent"} transition-[width] duration-150`} style={{ width: `${100 * whole}%` }} />
      </div>
      <p className="flex gap-x-4 flex-wrap text-mute">
        <span className="num">{w.studio.progress.tried(tried)}</span>
        {helpers + helped > 0 && <span className="num">{w.studio.progress.helped(over ? 0 : helpers, helped)}</span>}
        {elapsed > 0 && <span className="num">{over ? w.studio.progress.took(span(elapsed)) : w.studio.progress.elapsed(span(elapsed))}</span>}
        {!over && typeof left === "number" && <span className="num">{w.studio.progress.left(span(left))}</span>}
        {(job.state === "done" || job.state === "infeasible") && <a className="text-accent hover:underline" href={`/api/edge/optimization-jobs/${job.id}/report.html`} target="_blank" rel="noreferrer">{w.studio.report}</a>}
        {!over && stage && <span className="truncate">{w.studio.stages[stage] ?? stage}</span>}
      </p>
      {job.wish.only && <p className="text-mute">{w.studio.take.alone(job.wish.only.candidate)} <Link href={`/accelerator-studio?job=${job.wish.only.job}&candidate=${job.wish.only.candidate}`} className="text-accent hover:underline">{w.studio.take.from}</Link>.</p>}
      {job.reason && <p className={job.state === "failed" ? "text-bad" : "text-mute"}>{job.reason}</p>}
      {job.result?.stopped && <p className="text-mute">{w.studio.stopped(job.result.stopped)}</p>}
      {job.result?.notes.map((one) => <p key={one} className="text-mute">{one}</p>)}
      {releasing && job.result?.bundle && <Release bundle={job.result.bundle} candidate={job.result.best ?? ""} called={job.wish.name ?? ""} onClose={() => setReleasing(false)} />}
      {(order.error ?? kept.error) && <Trouble error={order.error ?? kept.error} />}
    </div>
  );
}
