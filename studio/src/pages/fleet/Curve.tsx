import { useId } from "react";
import { w } from "../../words";
import { odds, type Point } from "./gate";

const WIDE = 358;
const HIGH = 150;
const LEFT = 34;
const BELOW = 18;
const SUSPICION = Math.log(10);

/** The course of a gate's evidence and the boundary at which it halts. Odds on a logarithmic axis. */
export function Curve({ course, needed }: { course: Point[]; needed: number }) {
  const id = useId();
  const logs = course.map((one) => one.log_e ?? 0);
  const low = Math.min(Math.log(0.1), ...logs.map((one) => Math.max(one, Math.log(0.001))));
  const high = Math.max(needed * 1.18, ...logs.map((one) => Math.min(one, 3 * needed)));
  const first = course[0]?.at ?? 0;
  const last = Math.max(course.at(-1)?.at ?? 1, first + 1);
  const x = (at: number) => LEFT + ((at - first) * (WIDE - LEFT - 10)) / (last - first);
  const y = (log: number) => 8 + ((high - Math.min(Math.max(log, low), high)) * (HIGH - 8 - BELOW)) / (high - low);
  const path = course.map((one, i) => `${i ? "L" : "M"}${x(one.at).toFixed(1)} ${y(one.log_e ?? 0).toFixed(1)}`).join("");
  const tip = course.at(-1);
  const waves = course.filter((one, i) => i > 0 && one.wave !== course[i - 1]?.wave);
  const ticks = [0.1, 1, 10, 100, 1000, 10000].filter((one) => Math.log(one) >= low && Math.log(one) <= high);
  return (
    <figure aria-labelledby={id} className="space-y-1">
      <svg viewBox={`0 0 ${WIDE} ${HIGH}`} className="w-full h-auto" role="img" aria-labelledby={id}>
        <rect x={LEFT} y={8} width={WIDE - LEFT} height={y(needed) - 8} fill="var(--bad)" opacity="0.09" />
        {ticks.map((one) => (
          <g key={one}>
            <line x1={LEFT} x2={WIDE} y1={y(Math.log(one))} y2={y(Math.log(one))} stroke="var(--line)" />
            <text x={LEFT - 6} y={y(Math.log(one)) + 3.5} textAnchor="end" className="num" fontSize="10" fill="var(--mute)">{one}</text>
          </g>
        ))}
        {waves.map((one) => (
          <g key={one.at}>
            <line x1={x(one.at)} x2={x(one.at)} y1={8} y2={HIGH - BELOW} stroke="var(--mute)" strokeDasharray="1 3" />
            <text x={x(one.at) + 3} y={HIGH - BELOW - 4} fontSize="10" fill="var(--mute)">{w.fleet.wave(one.wave + 1)}</text>
          </g>
        ))}
        <line x1={LEFT} x2={WIDE} y1={y(SUSPICION)} y2={y(SUSPICION)} stroke="var(--warn)" strokeDasharray="2 3" />
        <text x={WIDE - 2} y={y(SUSPICION) - 4} textAnchor="end" fontSize="10" fill="var(--warn)">{w.fleet.gate.suspicion}</text>
        <line x1={LEFT} x2={WIDE} y1={y(needed)} y2={y(needed)} stroke="var(--bad)" strokeWidth="1.2" />
        <text x={WIDE - 2} y={y(needed) - 4} textAnchor="end" fontSize="10" fill="var(--bad)">{w.fleet.gate.boundary}</text>
        {course.length > 1 && <path d={path} fill="none" stroke="var(--ink)" strokeWidth="1.5" strokeLinejoin="round" />}
        {tip && <circle cx={x(tip.at)} cy={y(tip.log_e ?? 0)} r="3" fill="var(--accent)" stroke="var(--paper)" strokeWidth="1.5" />}
        <text x={LEFT} y={HIGH - 4} fontSize="10" fill="var(--mute)">{w.fleet.gate.axis}</text>
      </svg>
      <figcaption id={id} className="text-sm text-mute">{w.fleet.gate.evidenceTold(`${odds(tip?.log_e ?? 0)} : 1`, `${odds(needed)} : 1`)}</figcaption>
    </figure>
  );
}
