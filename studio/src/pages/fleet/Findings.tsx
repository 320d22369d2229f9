import { count } from "../../lib/format";
import { Sign } from "../../ui/Sign";
import { w } from "../../words";
import { amount, type Evidence, type Finding, marginOf } from "./gate";

/** What a gate measured, metric by metric: the shift with its interval, and the band that is benign. */
export function Findings({ evidence }: { evidence: Evidence }) {
  const found = [...(evidence.findings ?? [])].sort((a, b) => b.log_e - a.log_e).slice(0, 8);
  const installs = evidence.installs;
  return (
    <div className="space-y-2">
      {installs && (
        <p className="text-mute">{w.fleet.gate.installs(installs.failed_before_switch + installs.failed_after_switch, installs.offered)}</p>
      )}
      <ul className="divide-y divide-line">
        {found.map((one) => <Row key={one.metric} one={one} evidence={evidence} />)}
      </ul>
    </div>
  );
}

function Row({ one, evidence }: { one: Finding; evidence: Evidence }) {
  const margin = marginOf(evidence, one.metric);
  const expected = evidence.expected?.[one.metric] ?? 0;
  const most = Math.min(12 * margin, Math.max(4 * margin, 1.1 * Math.abs(one.low - expected), 1.1 * Math.abs(one.high - expected)));
  const x = (v: number) => 50 + (50 * Math.max(-most, Math.min(most, v - expected))) / most;
  const beyond = Math.abs(one.shift - expected) > margin;
  const mute = evidence.weights?.[one.metric.split("/")[0] ?? one.metric] === 0;
  const level = mute ? "unknown" : one.log_e > Math.log(100) ? "bad" : beyond && one.log_e > 0 ? "attention" : one.settled ? "good" : "unknown";
  return (
    <li className="py-2" title={`${w.fleet.gate.compared(one.canaries, one.controls)}; ${w.fleet.gate.margin(amount(one.metric, margin, false))}; ${one.settled ? w.fleet.gate.settled : w.fleet.gate.unsettled}`}>
      <div className="flex items-center gap-2">
        <Sign level={level} size={9} />
        <span>{one.metric}{mute && <span className="text-mute">, {w.fleet.gate.mute}</span>}</span>
        <span className="num ml-auto">{amount(one.metric, one.shift)}</span>
        <span className="num text-mute text-sm">[{amount(one.metric, one.low)}, {amount(one.metric, one.high)}]</span>
      </div>
      <svg viewBox="0 0 100 10" preserveAspectRatio="none" className="w-full h-2.5 mt-1" aria-hidden="true">
        <rect x={x(expected - margin)} width={x(expected + margin) - x(expected - margin)} y="0" height="10" fill="var(--good)" opacity="0.16" />
        <line x1="50" x2="50" y1="0" y2="10" stroke="var(--line)" strokeWidth="0.5" />
        <line x1={x(one.low)} x2={x(one.high)} y1="5" y2="5" stroke="var(--mute)" strokeWidth="1.6" vectorEffect="non-scaling-stroke" />
        <rect x={x(one.shift) - 0.6} width="1.2" y="1" height="8" fill={level === "bad" ? "var(--bad)" : "var(--ink)"} />
      </svg>
      <p className="sr-only">{w.fleet.gate.compared(one.canaries, one.controls)}, {count(one.canaries)}</p>
    </li>
  );
}
