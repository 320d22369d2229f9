import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { useMay } from "../../api/account";
import { get, type Page, send, type Told } from "../../api/client";
import { useTelemetry } from "../../api/fleet";
import { short, value } from "../../lib/format";
import { Bones } from "../../ui/Bones";
import { Button, ButtonLink } from "../../ui/Button";
import { Facts, Panel, Part } from "../../ui/Panel";
import { Sign, Tag, type Level } from "../../ui/Sign";
import { Spark } from "../../ui/Spark";
import { Sure } from "../../ui/Sure";
import { Trouble } from "../../ui/Trouble";
import { When } from "../../ui/When";
import { w } from "../../words";
import { Timeline } from "./Timeline";

const LEVEL: Record<string, Level> = { ok: "good", warn: "attention", bad: "bad" };

/** One device: its health part by part, what it runs, how it serves, what happened on it. */
export function DevicePanel({ name, onClose }: { name: string; onClose: () => void }) {
  const device = useQuery({ queryKey: ["devices", name], queryFn: ({ signal }) => get<Told["DeviceWhole"]>(`/devices/${name}`, {}, signal), refetchInterval: 5_000 });
  const it = device.data;
  return (
    <Panel title={name} above={it && <Tag level={it.revoked ? "unknown" : it.online ? "good" : "unknown"}>{it.group || w.fleet.ungrouped}</Tag>} onClose={onClose}>
      {device.error && <Trouble error={device.error} again={() => void device.refetch()} />}
      {!it && !device.error && <Bones rows={6} height={32} />}
      {it && <Body it={it} name={name} />}
    </Panel>
  );
}

function Body({ it, name }: { it: Told["DeviceWhole"]; name: string }) {
  const [sure, setSure] = useState(false);
  const may = useMay();
  const client = useQueryClient();
  const health = useQuery({
    queryKey: ["devices", name, "health"], queryFn: ({ signal }) => get<Told["HealthTold"]>(`/devices/${name}/health`, {}, signal),
    refetchInterval: 10_000, enabled: !it.revoked,
  });
  const events = useQuery({ queryKey: ["devices", name, "events"], queryFn: ({ signal }) => get<Page<Told["EventTold"]>>(`/devices/${name}/events`, { limit: 100 }, signal), refetchInterval: 10_000 });
  const one = useQuery({ queryKey: ["bundles", "one", it.current], queryFn: ({ signal }) => get<Told["BundleTold"]>(`/bundles/${it.current}`, {}, signal), enabled: it.current !== "" && may("bundles.read"), staleTime: Infinity, retry: false });
  const bundle = (digest: string) => (digest ? <>{one.data?.digest === digest && `${one.data.name} `}<span className="num" title={digest}>{short(digest)}</span></> : <span className="text-mute">{w.fleet.panel.nothing}</span>);
  return (
    <>
      <Facts rows={[
        [w.fleet.panel.runs, bundle(it.current)],
        ...(it.wanted && it.wanted !== it.current ? [[w.fleet.panel.wanted, bundle(it.wanted)] as [string, React.ReactNode]] : []),
        [w.fleet.panel.update, <>{it.state || "–"}{it.reason && <span className="text-mute">: {it.reason}</span>}</>],
        [w.fleet.panel.target, it.target || "–"],
        [w.fleet.panel.seen, <When key="seen" at={it.seen} />],
        [w.fleet.panel.enrolled, <When key="made" at={it.made} />],
        ...(Object.keys(it.labels).length ? [[w.fleet.panel.labels, Object.entries(it.labels).map(([k, v]) => `${k}=${v}`).join(", ")] as [string, React.ReactNode]] : []),
      ]} />
      <Part title={w.fleet.panel.health}>
        {it.revoked && <p className="text-mute">{w.fleet.panel.revoked}</p>}
        {health.error && !health.data && <Trouble error={health.error} again={() => void health.refetch()} />}
        {!health.data && !health.error && !it.revoked && <Bones rows={4} height={20} />}
        <ul className="space-y-1.5">
          {health.data?.components.map((one) => (
            <li key={one.name} className="grid grid-cols-[10px_102px_1fr] gap-x-3 items-baseline">
              <Sign level={LEVEL[one.level] ?? "unknown"} />
              <span>{w.fleet.components[one.name as keyof typeof w.fleet.components] ?? one.name}</span>
              <span className="text-mute">{one.told}</span>
            </li>
          ))}
        </ul>
      </Part>
      <Latency name={name} bundle={it.current} />
      <Part title={w.fleet.panel.timeline}>
        {events.error && !events.data && <Trouble error={events.error} again={() => void events.refetch()} />}
        {events.data && !events.data.items.length && <p className="text-mute">{w.fleet.panel.noTimeline}</p>}
        <Timeline events={events.data?.items ?? []} />
      </Part>
      <div className="flex flex-wrap gap-2">
        {may("benchmarks.write") && !it.revoked && <ButtonLink href={`/benchmarks?new=1&hub=no&device=${encodeURIComponent(name)}${it.current ? `&subject=${it.current}` : ""}`}>{w.benchmarks.word}</ButtonLink>}
        {may("devices.write") && !it.revoked && <Button kind="danger" onClick={() => setSure(true)}>{w.fleet.panel.revoke}</Button>}
      </div>
      {sure && (
        <Sure title={w.fleet.panel.revokeTitle(name)} told={w.fleet.panel.revokeTold(name)} action={w.fleet.panel.revoke} danger onClose={() => setSure(false)}
          work={async () => { await send("POST", `/devices/${name}/revoke`); await client.invalidateQueries(); }} />
      )}
    </>
  );
}

/** Of the bundle that runs there: what others of the same hour took is another matter. */
function Latency({ name, bundle }: { name: string; bundle: string }) {
  const told = useTelemetry(name);
  const rows = (told.data?.items ?? []).filter((one) => one.bundle === bundle && one.series.latency_ms).sort((a, b) => a.began.localeCompare(b.began));
  const last = rows.at(-1)?.series.latency_ms;
  if (!last) return null;
  return (
    <Part title={w.fleet.panel.latency}>
      <div className="flex items-end justify-between gap-4">
        <p><span className="num text-xl">{value(last.quantiles["0.99"] ?? 0)}</span> <span className="text-mute">ms · n {last.count}</span></p>
        <Spark label={w.fleet.panel.latencyTold} values={rows.map((one) => one.series.latency_ms?.quantiles["0.99"] ?? null)} width={160} />
      </div>
      <p className="text-sm text-mute">{w.fleet.panel.latencyTold}</p>
    </Part>
  );
}
