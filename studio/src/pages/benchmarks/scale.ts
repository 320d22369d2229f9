import type { Measured } from "../../api/benchmarks";
import { there } from "./reading";

export type Axis = "linear" | "log";
/** From ms to a share of the width between 0 and 1. */
export type Scale = { axis: Axis; low: number; high: number; at: (ms: number) => number; ticks: number[] };

const ROOM = 0.04;

/** A scale on which everything that was measured at these places can be drawn; null: nothing was. */
export function scaled(places: Measured[], axis: Axis): Scale | null {
  const ends: number[] = [];
  for (const place of places) {
    for (const { one } of there(place.result)) {
      const q = one.distribution_ms;
      const last = q.length - 1;
      const figures = ["latency_ms", "latency_p95_ms", "latency_p99_ms"].flatMap((name) => one.metrics[name]?.value ?? []);
      const mid = one.metrics.latency_ms;
      // A single slowest run would squeeze all others on a linear axis: it stands as a number there.
      if (last > 0) ends.push(q[0] as number, q[axis === "log" ? last : Math.floor(last * 0.99)] as number);
      ends.push(...figures, mid?.low ?? mid?.value ?? NaN, mid?.high ?? mid?.value ?? NaN);
    }
  }
  const some = ends.filter((n) => Number.isFinite(n) && n > 0);
  if (!some.length) return null;
  const [least, most] = [Math.min(...some), Math.max(...some)];
  if (axis === "log") {
    const reach = Math.max(Math.log(most / least), 0.1);
    const [from, to] = [Math.log(least) - 0.03 * reach, Math.log(most) + 0.05 * reach];
    const at = (ms: number) => (Math.log(Math.max(ms, 1e-9)) - from) / (to - from);
    return { axis, low: Math.exp(from), high: Math.exp(to), at, ticks: decades(Math.exp(from), Math.exp(to)) };
  }
  const room = (most - least || most) * ROOM;
  const [low, high] = [Math.max(0, least - room), most + room];
  return { axis, low, high, at: (ms) => (ms - low) / (high - low), ticks: even(low, high) };
}

/** Round values between the ends of an axis. */
export function ticks(low: number, high: number, axis: Axis): number[] {
  return axis === "log" ? decades(low, high) : even(low, high);
}

function even(low: number, high: number): number[] {
  const rough = (high - low) / 7;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = ([1, 2, 5, 10].find((one) => one * power >= rough) ?? 10) * power;
  const made: number[] = [];
  for (let n = Math.ceil(low / step); n * step <= high; n += 1) made.push(Number((n * step).toPrecision(6)));
  return made;
}

function decades(low: number, high: number): number[] {
  const steps = high / low > 3000 ? [1] : high / low > 12 ? [1, 2, 5] : [1, 1.5, 2, 3, 4, 5, 6, 8];
  const made: number[] = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power += 1) {
    for (const step of steps) {
      const n = Number((step * 10 ** power).toPrecision(3));
      if (n >= low && n <= high) made.push(n);
    }
  }
  return made;
}

const BINS = 220;
const SMOOTH = 1.6;

/** How dense single runs are along the scale, between 0 and 1 in BINS + 1 points: what their quantiles tell. */
export function density(quantiles: number[], scale: Scale): number[] {
  const mass = new Array<number>(BINS + 1).fill(0);
  const share = 1 / Math.max(1, quantiles.length - 1);
  for (let i = 0; i + 1 < quantiles.length; i += 1) {
    const [from, to] = [scale.at(quantiles[i] as number) * BINS, scale.at(quantiles[i + 1] as number) * BINS];
    const [a, b] = [Math.max(0, Math.round(from)), Math.min(BINS, Math.round(to))];
    for (let bin = a; bin <= b; bin += 1) mass[bin] = (mass[bin] ?? 0) + share / (b - a + 1);
  }
  const reach = Math.ceil(3 * SMOOTH);
  const smooth = mass.map((_, at) => {
    let sum = 0;
    for (let off = -reach; off <= reach; off += 1) sum += (mass[at + off] ?? 0) * Math.exp(-0.5 * (off / SMOOTH) ** 2);
    return sum;
  });
  const most = Math.max(...smooth);
  return most > 0 ? smooth.map((one) => one / most) : smooth;
}

/** A violin lying on its side in a box 1000 wide and 2 high. */
export function violin(quantiles: number[], scale: Scale): string {
  const dense = density(quantiles, scale);
  const first = dense.findIndex((one) => one > 0.002);
  const last = dense.findLastIndex((one) => one > 0.002);
  if (first < 0) return "";
  const some = dense.slice(first, last + 1).map((one, i) => [((first + i) * 1000) / BINS, Math.sqrt(one)] as const);
  const above = some.map(([x, y]) => `${x.toFixed(1)} ${(1 - y).toFixed(3)}`);
  const below = some.reverse().map(([x, y]) => `${x.toFixed(1)} ${(1 + y).toFixed(3)}`);
  return `M${above.join("L")}L${below.join("L")}Z`;
}
