import { useMemo } from "react";
import type { Benched } from "../../api/benchmarks";
import { value } from "../../lib/format";
import { css } from "./colours";
import { type Scale, violin } from "./scale";

const percent = (share: number) => `${(100 * Math.min(1, Math.max(0, share))).toFixed(2)}%`;

/** One subject: how its single runs spread, p50 with its interval, p95 and p99. What stands beside it says it in numbers. */
export function Strip({ one, at, scale }: { one: Benched; at: number; scale: Scale }) {
  const path = useMemo(() => violin(one.distribution_ms, scale), [one.distribution_ms, scale]);
  const mid = one.metrics.latency_ms;
  const [p95, p99] = [one.metrics.latency_p95_ms, one.metrics.latency_p99_ms];
  const colour = css(at);
  const first = one.distribution_ms[0];
  const last = one.distribution_ms.at(-1);
  return (
    <svg width="100%" height="44" aria-hidden="true" className="block overflow-visible">
      {scale.ticks.map((tick) => <line key={tick} x1={percent(scale.at(tick))} x2={percent(scale.at(tick))} y1="0" y2="44" stroke="var(--line)" />)}
      {first !== undefined && last !== undefined && <line x1={percent(scale.at(first))} x2={percent(scale.at(last))} y1="22" y2="22" stroke={colour} opacity="0.6" />}
      <svg x="0" y="4" width="100%" height="36" viewBox="0 0 1000 2" preserveAspectRatio="none">
        <path d={path} fill={colour} opacity="0.22" />
        <path d={path} fill="none" stroke={colour} strokeWidth="1" opacity="0.5" vectorEffect="non-scaling-stroke" />
      </svg>
      {last !== undefined && scale.at(last) > 1 && <path d="M0 17 5 22 0 27" fill="none" stroke={colour} strokeWidth="1.4" transform="translate(-1 0)" style={{ transform: "translateX(calc(100% - 6px))", transformBox: "view-box" }} />}
      {p95 && <line x1={percent(scale.at(p95.value))} x2={percent(scale.at(p95.value))} y1="15" y2="29" stroke={colour} strokeWidth="1.6" />}
      {p99 && [-2, 2].map((off) => <line key={off} x1={percent(scale.at(p99.value))} x2={percent(scale.at(p99.value))} y1="15" y2="29" stroke={colour} strokeWidth="1.6" transform={`translate(${off} 0)`} />)}
      {mid && mid.low !== null && mid.high !== null && (
        <g stroke={colour} strokeWidth="1.6">
          <line x1={percent(scale.at(mid.low))} x2={percent(scale.at(mid.high))} y1="22" y2="22" />
          {[mid.low, mid.high].map((end, i) => <line key={i} x1={percent(scale.at(end))} x2={percent(scale.at(end))} y1="16" y2="28" />)}
        </g>
      )}
      {mid && <circle cx={percent(scale.at(mid.value))} cy="22" r="3.5" fill={colour} stroke="var(--paper)" strokeWidth="1" />}
    </svg>
  );
}

/** The axis under the lanes. */
export function Ticks({ scale }: { scale: Scale }) {
  // Labels keep a distance, so that none covers another where an axis is short.
  let free = -1;
  const shown = scale.ticks.filter((tick) => {
    const at = scale.at(tick);
    if (at < free || at > 0.93) return false;
    free = at + 0.11;
    return true;
  });
  return (
    <span className="relative block h-4 text-sm text-mute num border-t border-line">
      {shown.map((tick) => <span key={tick} className="absolute -translate-x-1/2 whitespace-nowrap" style={{ left: percent(scale.at(tick)) }}>{value(tick)}</span>)}
      <span className="absolute right-0 bg-paper pl-1">ms</span>
    </span>
  );
}
