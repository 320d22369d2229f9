import { useState } from "react";
import type { Candidate, Limits } from "../../api/studio";
import { value } from "../../lib/format";
import { w } from "../../words";
import { type Axis, figure, FIGURES } from "./figures";

const STEPS = 200;

/** A limit as a slider over what was measured: each candidate is a tick, those within it stand out. */
export function Limit({ axis, limits, candidates, onChange }: { axis: Axis; limits: Limits; candidates: Candidate[]; onChange: (limits: Limits) => void }) {
  const key = FIGURES[axis].limit as keyof typeof w.studio.limit;
  const [typed, setTyped] = useState<string | null>(null); // half a number is no limit yet
  const limit = limits[key];
  const values = candidates.flatMap((one) => figure(one, axis) ?? []);
  const [low, high] = range(axis, values, limit);
  const log = axis !== "accuracy";
  const toPlace = (n: number) => (log ? Math.log(n / low) / Math.log(high / low) : (n - low) / (high - low));
  const fromPlace = (p: number) => (log ? low * (high / low) ** p : low + p * (high - low));
  const within = limit === undefined ? values.length : values.filter((n) => n <= limit).length;
  const set = (n: number | undefined) => {
    const next = { ...limits };
    if (n === undefined) delete next[key];
    else next[key] = n;
    onChange(next);
  };
  return (
    <div>
      <div className="flex items-center justify-between gap-2">
        <label className="flex items-center gap-2 font-medium">
          <input type="checkbox" checked={limit !== undefined} onChange={(e) => set(e.target.checked ? rounded(fromPlace(axis === "accuracy" ? 0.2 : 0.7)) : undefined)} />
          {w.studio.limit[key]}
        </label>
        {limit === undefined ? <span className="text-mute">{axis === "accuracy" ? w.studio.noDrop : w.studio.noLimit}</span> : (
          <span className="flex items-center gap-1.5">
            <span className="text-mute">≤</span>
            <input
              type="number" step="any" min={0} aria-label={`${w.studio.limit[key]} (${w.studio.units[key]})`} value={typed ?? limit}
              onChange={(e) => { const n = e.target.valueAsNumber; setTyped(e.target.value); if (n > 0 || (axis === "accuracy" && n === 0)) set(n); }} onBlur={() => setTyped(null)}
              className="num h-7 w-20 rounded border border-line bg-paper px-2 text-right"
            />
            <span className="text-mute w-10">{w.studio.units[key]}</span>
          </span>
        )}
      </div>
      <div className="relative h-6 mt-0.5">
        <svg className="absolute inset-x-0 top-0 w-full h-2 overflow-visible" preserveAspectRatio="none" viewBox="0 0 1 8" aria-hidden="true">
          {values.filter((n) => toPlace(n) >= 0 && toPlace(n) <= 1).map((n, i) => <line key={i} x1={toPlace(n)} x2={toPlace(n)} y1="0" y2="8" stroke={limit === undefined || n <= limit ? "var(--good)" : "var(--none)"} strokeOpacity={limit === undefined || n <= limit ? 0.9 : 0.45} strokeWidth="1.5" vectorEffect="non-scaling-stroke" />)}
        </svg>
        <input
          type="range" min={0} max={STEPS} disabled={limit === undefined} aria-label={w.studio.limit[key]} aria-valuetext={limit === undefined ? (axis === "accuracy" ? w.studio.noDrop : w.studio.noLimit) : `${value(limit)} ${w.studio.units[key]}`}
          value={limit === undefined ? STEPS : Math.round(STEPS * Math.min(1, Math.max(0, toPlace(limit))))} onChange={(e) => set(rounded(fromPlace(Number(e.target.value) / STEPS)))}
          className="absolute inset-x-0 top-2 w-full"
        />
      </div>
      {values.length > 0 && limit !== undefined && <p className="text-sm text-mute">{w.studio.feasible(within, values.length)}</p>}
    </div>
  );
}

function range(axis: Axis, values: number[], limit: number | undefined): [number, number] {
  if (axis === "accuracy") return [0, Math.max(5, limit ?? 0)]; // what loses more, or gains, has no tick
  const known = [...values, ...(limit === undefined ? [] : [limit])];
  if (!known.length) return axis === "latency" ? [0.05, 200] : axis === "size" ? [0.01, 500] : [1, 2000];
  return [Math.min(...known) * 0.8, Math.max(...known) * 1.25];
}

function rounded(n: number): number {
  return Number(n.toPrecision(2));
}
