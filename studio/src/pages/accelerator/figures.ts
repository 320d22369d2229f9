import type { Candidate, Limits, Measured, Preference } from "../../api/studio";
import { value } from "../../lib/format";

export type Axis = "latency" | "size" | "memory" | "accuracy";
export type Binding = { axis: Axis; limit: number };

type Figure = { metric: string; scale: number; unit: string; limit: keyof Limits };

/** What can stand on an axis: the report's metric, how it is shown, and the limit that belongs to it. */
export const FIGURES: Record<Axis, Figure> = {
  latency: { metric: "latency_ms", scale: 1, unit: "ms", limit: "max_latency_ms" },
  size: { metric: "size_bytes", scale: 1e-6, unit: "MB", limit: "max_size_mb" },
  memory: { metric: "ram_bytes", scale: 1e-6, unit: "MB", limit: "max_memory_mb" },
  accuracy: { metric: "accuracy_drop", scale: 1, unit: "points", limit: "max_accuracy_drop" },
};
export const AXES = Object.keys(FIGURES) as Axis[];

export function figure(one: Candidate, axis: Axis): number | null {
  const found = one.metrics[FIGURES[axis].metric];
  return found ? found.value * FIGURES[axis].scale : null;
}

/** How the figures of these candidates are known: as the one that is known least. */
export function known(candidates: Candidate[], axis: Axis): Measured["kind"] {
  const kinds = candidates.map((one) => one.metrics[FIGURES[axis].metric]?.kind);
  return kinds.includes("predicted") ? "predicted" : kinds.includes("estimated") ? "estimated" : "measured";
}

export function shown(axis: Axis, n: number): string {
  return `${value(n)} ${FIGURES[axis].unit}`;
}

/** Whether a candidate keeps these limits: what is not known is not kept. */
export function keeps(one: Candidate, limits: Limits): boolean {
  return AXES.every((axis) => {
    const limit = limits[FIGURES[axis].limit];
    if (limit === undefined || limit === null) return true;
    const found = figure(one, axis);
    return found !== null && found <= limit;
  });
}

/** Without a limit of one's own the search has one on accuracy, which stands in the verdict. */
export function feasible(one: Candidate, limits: Limits): boolean {
  const usual = limits.max_accuracy_drop === undefined && one.verdict?.some((clause) => clause.metric === "accuracy_drop" && !clause.kept);
  return !one.refused?.length && !usual && keeps(one, limits);
}

/** The same model on the same engine is one candidate, by whatever recipe it came about: the one that was measured best. */
export function once(candidates: Candidate[]): Candidate[] {
  const found = new Map<string, Candidate>();
  for (const one of candidates) {
    const key = one.digest && Object.keys(one.metrics).length ? `${one.digest} ${one.engine} ${JSON.stringify(one.engine_options)}` : one.id;
    const known = found.get(key);
    if (!known || (!known.final && one.final)) found.set(key, one);
  }
  return [...found.values()];
}

/** Those that no other beats in latency, size and accuracy together (and memory where both have it). */
export function front(candidates: Candidate[]): Candidate[] {
  const pool = candidates.filter((one) => !one.refused?.length && figure(one, "latency") !== null);
  const beats = (a: Candidate, b: Candidate) => {
    let better = false;
    for (const axis of AXES) {
      const [x, y] = [figure(a, axis), figure(b, axis)];
      if (x === null || y === null) continue;
      if (x > y) return false;
      better ||= x < y;
    }
    return better;
  };
  return pool.filter((one) => !pool.some((other) => beats(other, one)));
}

/** As the search scores: weighted logarithms of the ratios to the original, plus points lost; less is better. Nothing
 * predicted is held against what was measured. */
export function score(one: Candidate, baseline: Candidate | null, wish: Preference): number {
  let total = 0;
  for (const [axis, weight] of [["latency", wish.latency], ["size", wish.size], ["memory", wish.memory]] as const) {
    const { metric } = FIGURES[axis];
    const [mine, theirs] = [one.metrics[metric], baseline?.metrics[metric]];
    if (weight && mine && theirs && mine.kind === theirs.kind) total += weight * Math.log(Math.max(mine.value, 1e-12) / Math.max(theirs.value, 1e-12));
  }
  const drop = one.metrics.accuracy_drop;
  return drop ? total + (wish.accuracy ?? 0) * Math.max(drop.value, 0) : total;
}

export function choose(candidates: Candidate[], baseline: Candidate | null, limits: Limits, wish: Preference): Candidate | null {
  const pool = front(candidates.filter((one) => feasible(one, limits)));
  return pool.reduce<Candidate | null>((best, one) => (best === null || score(one, baseline, wish) < score(best, baseline, wish) ? one : best), null);
}

const NEAR = 0.1;

/** The limit that holds a candidate back: the one with the least slack, where that is next to nothing, or the one that is furthest broken. */
export function binding(one: Candidate | null, limits: Limits): Binding | null {
  let found: (Binding & { slack: number }) | null = null;
  for (const axis of AXES) {
    const limit = limits[FIGURES[axis].limit];
    const at = one && figure(one, axis);
    if (limit === undefined || limit === null || at === null) continue;
    const slack = (limit - at) / (Math.abs(limit) || 1);
    if (slack <= NEAR && (!found || slack < found.slack)) found = { axis, limit, slack };
  }
  return found;
}
