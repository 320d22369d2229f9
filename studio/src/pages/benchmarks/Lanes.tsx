import type { Benched, Figure, Measured, Whole } from "../../api/benchmarks";
import { count, value } from "../../lib/format";
import { Sign } from "../../ui/Sign";
import { w } from "../../words";
import { Letter } from "./Key";
import { about, baseline, interval, letter, shown, verdict, where } from "./reading";
import type { Scale } from "./scale";
import { Strip, Ticks } from "./Strip";

const words = w.benchmarks;
const GRID = "grid gap-x-4 gap-y-1 grid-cols-[minmax(0,1fr)_auto] @4xl:grid-cols-[minmax(120px,192px)_minmax(160px,1fr)_136px_56px_56px_minmax(150px,200px)] @4xl:items-center";

/** The subjects of a place, one below the other on one axis. The numbers beside the drawing say the same: it is a table. */
export function Lanes({ place, subjects, scale }: { place: Measured; subjects: Whole["subjects"]; scale: Scale | null }) {
  const first = baseline(place.result);
  const many = (place.result?.subjects.length ?? 0) > 1;
  return (
    <div role="table" aria-label={where(place)} className="@container px-4 pb-3">
      <div role="row" className={`${GRID} text-sm text-mute pb-1 @max-4xl:sr-only`}>
        {[words.lane.subject, words.lane.shape, words.lane.p50, words.lane.p95, words.lane.p99, many ? words.lane.against : ""].map((one, i) => <span key={i} role="columnheader" className={i > 1 && i < 5 ? "text-right" : ""}>{one}</span>)}
      </div>
      {place.result?.subjects.map((one, i) => <Lane key={one.subject} one={one} at={i} name={subjects[i]?.name ?? one.subject} first={first} scale={scale} many={many} />)}
      {scale && <div className={`${GRID} @max-4xl:block`} aria-hidden="true"><span className="@max-4xl:hidden" /><Ticks scale={scale} /></div>}
    </div>
  );
}

/** The lanes before anything is known, of their size, so that nothing jumps. */
export function Coming({ subjects }: { subjects: Whole["subjects"] }) {
  return (
    <div className="@container px-4 pb-3">
      <ul className="@4xl:pt-5 @4xl:pb-4">
        {subjects.map((one, i) => (
          <li key={one.id} className={`${GRID} border-t border-line py-1.5 @4xl:py-0 min-h-28 @4xl:min-h-11`}>
            <Name at={i} name={one.name} />
            <span className="h-1.5 rounded bg-line/60 animate-pulse self-center @max-4xl:col-span-2" aria-hidden="true" />
          </li>
        ))}
      </ul>
    </div>
  );
}

function Name({ at, name }: { at: number; name: string }) {
  return <span className="flex items-center gap-2 min-w-0 @max-4xl:col-span-2" title={name}><Letter i={at} /><span className="line-clamp-2 leading-4 [overflow-wrap:anywhere] font-medium">{name}</span></span>;
}

function Lane({ one, at, name, first, scale, many }: { one: Benched; at: number; name: string; first: number; scale: Scale | null; many: boolean }) {
  const mid = one.metrics.latency_ms;
  const slowest = one.distribution_ms.at(-1);
  return (
    <div role="row" className={`${GRID} border-t border-line py-1.5 @4xl:py-0`}>
      <span role="rowheader" className="min-w-0 @max-4xl:col-span-2"><Name at={at} name={name} /></span>
      {one.why || !mid ? (
        <span role="cell" className="col-span-2 @4xl:col-span-5 text-mute py-1.5 flex items-start gap-2 [overflow-wrap:anywhere]"><span className="h-5 flex items-center"><Sign level="attention" label={words.notMeasured} /></span><span>{one.why || one.missing.latency_ms || words.notMeasured}</span></span>
      ) : (
        <>
          <span role="cell" className="col-span-2 @4xl:col-span-1 @max-4xl:order-last min-w-0">{scale && <Strip one={one} at={at} scale={scale} />}<span className="sr-only">{slowest === undefined ? "" : words.slowest(shown(slowest, "ms"))}</span></span>
          <span role="cell" className="@4xl:text-right whitespace-nowrap @max-4xl:col-span-2" title={about(mid)}>
            <span className="num font-medium">{shown(mid.value, mid.unit)}</span><Kind one={mid} />
            <span className="num text-sm text-mute @max-4xl:ml-1.5 @4xl:block">{interval(mid)}</span>
          </span>
          <Tail one={one.metrics.latency_p95_ms} name={words.lane.p95} />
          <Tail one={one.metrics.latency_p99_ms} name={words.lane.p99} />
          <span role="cell" className="@max-4xl:col-span-2 min-w-0">{many && <Against one={one} at={at} first={first} />}</span>
        </>
      )}
    </div>
  );
}

export function Kind({ one }: { one: Figure }) {
  return one.kind === "measured" ? null : <span className="text-sm text-mute italic"> {w.kinds[one.kind]}</span>;
}

function Tail({ one, name }: { one: Figure | undefined; name: string }) {
  return (
    <span role="cell" className="num text-right text-mute @max-4xl:text-left @max-4xl:text-sm whitespace-nowrap" title={one && about(one)}>
      <span className="@4xl:hidden">{name} </span>{one ? value(one.value) : "–"}{one && <><span className="@4xl:hidden"> {one.unit}</span><Kind one={one} /></>}
    </span>
  );
}

function Against({ one, at, first }: { one: Benched; at: number; first: number }) {
  if (at === first) return <span className="text-mute">{words.baselineLong}</span>;
  const told = first < 0 ? null : verdict(one.ratio, letter(first));
  if (!told) return <span className="text-mute">–</span>;
  return (
    <span title={words.ratioTold(count(one.rounds))} className="block">
      <span className={told.word === "same" ? "text-mute" : "font-medium"}>{told.told}</span>
      <span className="num text-sm text-mute @max-4xl:ml-1.5 @4xl:block">{told.interval}</span>
    </span>
  );
}
