import { type FleetMap, useTelemetry } from "../../api/fleet";
import { count, share, value } from "../../lib/format";
import { Sign, type Level } from "../../ui/Sign";
import { Spark } from "../../ui/Spark";
import { Trouble } from "../../ui/Trouble";
import { w } from "../../words";
import { hours } from "./hours";

const words = w.overview.figures;

/** Four figures with their trend. */
export function Figures({ map, error }: { map: FleetMap | undefined; error: Error | null }) {
  const told = useTelemetry();
  const found = hours(told.data?.items ?? []);
  const sums = { o: 0, w: 0, b: 0, s: 0 } as Record<string, number>;
  for (const block of map?.blocks ?? []) for (const letter of block.health) sums[letter] = (sums[letter] ?? 0) + 1;
  const all = Object.values(sums).reduce((a, b) => a + b, 0);
  const last = found.at(-1);
  const before = found.at(-2);
  const requests = found.reduce((sum, one) => sum + one.requests, 0);
  if (error && !map) return <Trouble error={error} />;
  return (
    <div className="grid gap-px rounded border border-line bg-line overflow-hidden sm:grid-cols-2 xl:grid-cols-4">
      <Figure name={words.healthy} value={map ? count(sums.o ?? 0) : "–"} unit={map && `/ ${count(all)}`} level={!map ? "unknown" : sums.b ? "bad" : sums.w || sums.s ? "attention" : "good"}
        told={map ? words.healthyTold(count(sums.w ?? 0), count(sums.s ?? 0), count(sums.b ?? 0)) : w.loading}>
        <Parts sums={sums} all={all} />
      </Figure>
      <Figure name={words.latency} value={last ? value(last.p99) : "–"} unit={last && "ms"} told={last ? (before ? words.against(change(last.p99, before.p99)) : words.latencyTold) : words.noData}>
        <Spark label={words.latencyTold} values={found.map((one) => one.p99)} />
      </Figure>
      <Figure name={words.requests} value={found.length ? compact(requests) : "–"} told={found.length ? words.requestsTold(new Date(found[0]?.began ?? 0)) : words.noData}>
        <Spark label={words.requests} values={found.map((one) => one.requests)} />
      </Figure>
      <Figure name={words.errors} value={last ? share(last.errors, last.requests) : "–"} unit={last && "%"} told={last ? words.errorsTold : words.noData}>
        <Spark label={words.errorsTold} values={found.map((one) => (one.requests ? one.errors / one.requests : null))} />
      </Figure>
    </div>
  );
}

function Figure({ name, value: shown, unit, told, level, children }: { name: string; value: string; unit?: string | undefined | false; told: string; level?: Level; children?: React.ReactNode }) {
  return (
    <div className="bg-paper p-4 min-h-[116px] flex flex-col">
      <p className="text-mute flex items-center gap-2">{level && <Sign level={level} size={9} />}{name}</p>
      <div className="flex items-end justify-between gap-3 mt-1">
        <p className="whitespace-nowrap"><span className="num text-2xl">{shown}</span>{unit && <span className="num text-mute ml-1.5">{unit}</span>}</p>
        {children}
      </div>
      <p className="text-sm text-mute mt-auto pt-1">{told}</p>
    </div>
  );
}

function Parts({ sums, all }: { sums: Record<string, number>; all: number }) {
  const parts: [string, string][] = [["o", "bg-good/60"], ["w", "bg-warn"], ["s", "bg-none/60"], ["b", "bg-bad"]];
  return (
    <span className="flex h-2 w-28 rounded-sm overflow-hidden bg-line mb-2" aria-hidden="true">
      {parts.map(([letter, fill]) => (sums[letter] ? <span key={letter} className={fill} style={{ width: `max(2px, ${(100 * (sums[letter] ?? 0)) / all}%)` }} /> : null))}
    </span>
  );
}

function change(now: number, then: number): string {
  const percent = then ? (100 * (now - then)) / then : 0;
  return `${percent < 0 ? "−" : "+"}${value(Math.abs(percent))}%`;
}

const COMPACT = new Intl.NumberFormat("en-US", { notation: "compact", maximumSignificantDigits: 3 });

function compact(n: number): string {
  return n < 100_000 ? count(n) : COMPACT.format(n);
}
