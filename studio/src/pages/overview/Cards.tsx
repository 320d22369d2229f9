import { Link } from "wouter";
import type { Alert } from "../../api/alerts";
import { type Decision, type Rollout, useRollout } from "../../api/fleet";
import type { Job } from "../../api/studio";
import { Bones } from "../../ui/Bones";
import { Card } from "../../ui/Page";
import { Sign, Tag } from "../../ui/Sign";
import { Trouble } from "../../ui/Trouble";
import { When } from "../../ui/When";
import { w } from "../../words";
import { causes, SEVERITY } from "../alerts/causes";
import { Decisions } from "../fleet/Decisions";
import { ROLLOUT_LEVEL } from "../fleet/states";
import { Waves } from "../fleet/Waves";

function More({ href }: { href: string }) {
  return <Link href={href} className="text-accent hover:underline">{w.overview.all}</Link>;
}

/** What is going on: rollouts with their waves, jobs with what they have found. */
export function UnderWay({ rollouts, jobs, error }: { rollouts: Rollout[] | undefined; jobs: Job[] | undefined; error: Error | null }) {
  const known = rollouts && jobs;
  const live = (jobs ?? []).filter((one) => one.state === "running" || one.state === "queued" || one.state === "stopping");
  return (
    <Card title={w.overview.running} action={<More href="/fleet?by=rollout" />}>
      <div className="p-4 space-y-5">
        {error && !known && <Trouble error={error} />}
        {!error && !known && <Bones rows={2} height={28} />}
        {known && !rollouts.length && !live.length && <p className="text-mute">{w.overview.nothingRunning}</p>}
        {(rollouts ?? []).slice(0, 3).map((one) => <OneRollout key={one.id} id={one.id} />)}
        {live.slice(0, 3).map((one) => (
          <p key={one.id}><Link href={`/accelerator-studio?job=${one.id}`} className="hover:underline"><Tag level="active">{one.wish.name || one.id}</Tag></Link> <span className="text-mute">{w.studio.states[one.state]} · {w.studio.progress.tried(one.progress?.tried ?? 0)}</span></p>
        ))}
      </div>
    </Card>
  );
}

function OneRollout({ id }: { id: string }) {
  const { data } = useRollout(id);
  if (!data) return <Bones rows={2} height={28} />;
  return (
    <div className="space-y-2">
      <p className="flex items-center gap-2 flex-wrap">
        <Link href={`/fleet?by=rollout&rollout=${id}`} className="font-medium hover:underline">{data.name}</Link>
        <span className="text-mute"><Tag level={ROLLOUT_LEVEL[data.state] ?? "unknown"}>{w.fleet.rolloutStates[data.state as keyof typeof w.fleet.rolloutStates]}</Tag> · <When at={data.since} /></span>
      </p>
      <Waves rollout={data} />
      {data.look && <p className="text-mute">{String(data.look.why)}</p>}
    </div>
  );
}

export function OpenAlerts({ alerts, error }: { alerts: Alert[] | undefined; error: Error | null }) {
  return (
    <Card title={w.overview.open} action={<More href="/alerts" />}>
      <div className="p-4 space-y-3">
        {error && !alerts && <Trouble error={error} />}
        {!alerts && !error && <Bones rows={3} height={24} />}
        {alerts && !alerts.length && <p className="text-mute">{w.overview.noAlerts}</p>}
        {causes(alerts ?? []).slice(0, 5).map((cause) => {
          const first = cause.alerts[0];
          return first && (
            <div key={cause.kind} className="flex gap-2.5">
              <span className="h-5 flex items-center"><Sign level={SEVERITY[cause.severity] ?? "unknown"} label="" /></span>
              <p className="min-w-0 break-words">
                <Link href={`/alerts?alert=${first.id}`} className="font-medium hover:underline">{w.alerts.kinds[cause.kind]?.name ?? cause.kind}</Link>
                <span className="text-mute"> · {w.alerts.devices(cause.alerts.length)} · <When at={first.since} /></span>
                <span className="block text-mute">{first.told}</span>
              </p>
            </div>
          );
        })}
      </div>
    </Card>
  );
}

export function LastDecisions({ decisions, error, rollouts }: { decisions: Decision[] | undefined; error: Error | null; rollouts: Rollout[] }) {
  const name = (id: string) => rollouts.find((one) => one.id === id)?.name ?? id;
  return (
    <Card title={w.overview.lastDecisions}>
      <div className="p-4">
        {error && !decisions && <Trouble error={error} />}
        {!decisions && !error && <Bones rows={3} height={36} />}
        {decisions && !decisions.length && <p className="text-mute">{w.overview.noDecisions}</p>}
        {decisions && decisions.length > 0 && (
          <Decisions list={decisions.slice(0, 6)} named={(id) => <><Link href={`/fleet?rollout=${id}`} className="text-accent underline decoration-line underline-offset-2 hover:decoration-accent">{name(id)}</Link> </>} />
        )}
      </div>
    </Card>
  );
}
