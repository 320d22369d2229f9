import type { Candidate, Measured } from "../../api/studio";
import { value } from "../../lib/format";
import { Sign } from "../../ui/Sign";
import { w } from "../../words";

/** How many times less than the original's. What was measured is not held against what was predicted; two predictions make one. */
export function ratio(one: Candidate, baseline: Candidate | null, metric: string): number | null {
  const [mine, theirs] = [one.metrics[metric], baseline?.metrics[metric]];
  return mine?.value && theirs?.value && mine.kind === theirs.kind && one.id !== baseline?.id ? theirs.value / mine.value : null;
}

/** What a candidate won, and what it cost. */
export function Wins({ one, baseline }: { one: Candidate; baseline: Candidate | null }) {
  const [faster, smaller, drop] = [ratio(one, baseline, "latency_ms"), ratio(one, baseline, "size_bytes"), one.metrics.accuracy_drop];
  if (faster === null && smaller === null) return null;
  return (
    <ul className="grid grid-cols-3 gap-px bg-line border border-line rounded overflow-hidden text-center">
      {faster !== null && <Win n={`${value(faster)}×`} told={w.studio.fasterWord} kind={one.metrics.latency_ms?.kind} level={faster > 1.02 ? "good" : faster < 0.98 ? "bad" : "unknown"} />}
      {smaller !== null && <Win n={`${value(smaller)}×`} told={w.studio.smallerWord} kind={one.metrics.size_bytes?.kind} level={smaller > 1.02 ? "good" : smaller < 0.98 ? "bad" : "unknown"} />}
      {drop && <Win n={value(drop.value)} told={w.studio.lostWord} kind={drop.kind} level={drop.value <= 0 ? "good" : drop.value > 1 ? "attention" : "unknown"} />}
    </ul>
  );
}

function Win({ n, told, kind, level }: { n: string; told: string; kind: Measured["kind"] | undefined; level: "good" | "bad" | "attention" | "unknown" }) {
  return (
    <li className="bg-paper py-2">
      <span className="num text-xl">{n}</span>
      <span className="flex justify-center items-center gap-1.5 text-sm text-mute"><Sign level={level} size={8} />{told}</span>
      {kind && kind !== "measured" && <i className="block text-sm text-mute">{w.kinds[kind]}</i>}
    </li>
  );
}
