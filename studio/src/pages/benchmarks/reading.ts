import type { Benched, Figure, Measured, Place, Result, Whole } from "../../api/benchmarks";
import { bytes, count, value } from "../../lib/format";
import type { Level } from "../../ui/Sign";
import { w } from "../../words";

const words = w.benchmarks;

export const LEVEL: Record<Place["state"], Level> = {
  waiting: "unknown", asked: "unknown", queued: "unknown", running: "active", stopping: "active", done: "good", failed: "bad", cancelled: "unknown",
};
export const STATE: Record<Whole["state"], Level> = { running: "active", done: "good", failed: "bad", cancelled: "unknown" };

/** A letter for each subject: what is drawn is never told apart by colour alone. */
export function letter(i: number): string {
  return String.fromCharCode(65 + i);
}

/** How the benchmark is called. */
export function called(one: { name: string; subjects: { name: string }[] }): string {
  if (one.name) return one.name;
  const names = one.subjects.map((it) => it.name);
  return names.length > 3 ? `${names.slice(0, 2).join(", ")} ${words.more(names.length - 2)}` : names.join(", ");
}

export function where(place: Place): string {
  return place.kind === "hub" ? words.hubNamed(place.name) : place.name;
}

/** How a place is named in the address. */
export function key(place: Place): string {
  return place.kind === "hub" ? "hub" : `device:${place.name}`;
}

/** Those that were measured, with their number among all subjects. */
export function there(result: Result | null): { one: Benched; at: number }[] {
  return (result?.subjects ?? []).map((one, at) => ({ one, at })).filter(({ one }) => !one.why && one.metrics.latency_ms);
}

/** What the others are compared with here: the first that could be measured. -1: none. */
export function baseline(result: Result | null): number {
  return there(result)[0]?.at ?? -1;
}

export type Verdict = { word: "faster" | "slower" | "same"; told: string; interval: string };

/** A ratio of latencies in words. An interval that holds 1 tells no difference. */
export function verdict(ratio: number[], than: string): Verdict | null {
  const [mid, low, high] = ratio;
  if (mid === undefined || low === undefined || high === undefined || !(low > 0)) return null;
  if (low <= 1 && high >= 1) return { word: "same", told: words.same(than), interval: words.inTimes(times(1 / high), times(1 / low)) };
  if (high < 1) return { word: "faster", told: words.faster(times(1 / mid), than), interval: words.inTimes(times(1 / high), times(1 / low)) };
  return { word: "slower", told: words.slower(times(mid), than), interval: words.inTimes(times(low), times(high)) };
}

function times(n: number): string {
  return n < 1.1 && n > 0.9 ? n.toFixed(3) : n < 100 ? n.toPrecision(3) : value(n);
}

/** A figure with its unit. */
export function shown(n: number, unit: string): string {
  if (unit === "B") return bytes(n);
  return `${value(n)}${unit ? ` ${unit}` : ""}`;
}

/** Its interval, "" where there is none worth telling. */
export function interval(one: Figure): string {
  if (one.low === null || one.high === null) return "";
  const tell = (n: number) => (one.unit === "B" ? bytes(n) : value(n));
  return tell(one.low) === tell(one.high) ? "" : `[${tell(one.low)}, ${tell(one.high)}]`;
}

export function about(one: Figure): string {
  if (one.low === null || one.high === null) return `${w.kinds[one.kind]}, n ${count(one.n)}`;
  return words.intervalTold(count(one.n), w.kinds[one.kind], shown(one.low, one.unit), shown(one.high, one.unit));
}

const ORDER = [
  "latency_ms", "latency_p95_ms", "latency_p99_ms", "latency_sustained_ms", "throughput_per_s", "cold_start_ms", "ram_bytes", "size_bytes", "download_bytes", "energy_mj",
];

/** All figures that any of them has, the known ones first. */
export function names(result: Result): string[] {
  const all = new Set(result.subjects.flatMap((one) => Object.keys(one.metrics)));
  return [...ORDER.filter((one) => all.has(one)), ...[...all].filter((one) => !ORDER.includes(one)).sort()];
}

export function metric(name: string): string {
  return words.rest[name] ?? w.recipes.metrics[name] ?? name.replaceAll("_", " ");
}

/** How busy the machine was: its load over a minute, and whether that is more than it has CPUs for. */
export function load(machine: Record<string, unknown>): { told: string; busy: boolean } | null {
  const list = machine.load_average;
  const one = Array.isArray(list) ? list[0] : undefined;
  const cpus = machine.logical_cpus ?? machine.cores;
  if (typeof one !== "number" || typeof cpus !== "number" || cpus <= 0) return null;
  const busy = one > 1.25 * cpus;
  return { told: (busy ? words.loadBusy : words.load)(value(one), count(cpus)), busy };
}

/** The machine in a few words. */
export function machine(result: Result | null): string {
  const told = result?.machine ?? {};
  return [typeof told.cpu === "string" ? told.cpu : "", typeof told.cores === "number" ? words.cores(told.cores) : ""].filter(Boolean).join(", ");
}

/** What a fact says: lists with spaces, pairs with their names. */
export function fact(name: string, told: unknown): string {
  if (typeof told === "boolean") return told ? words.yes : words.no;
  if (typeof told === "number") return name.endsWith("_bytes") ? bytes(told) : String(told);
  if (Array.isArray(told)) return told.map((one) => fact("", one)).join(" ");
  if (told && typeof told === "object") return Object.entries(told).map(([k, v]) => `${k} ${fact("", v)}`).join(", ");
  return String(told ?? "");
}

/** Whether tails are so long that a linear axis shows nothing but them. */
export function longTails(places: Measured[]): boolean {
  return places.some((place) => there(place.result).some(({ one }) => (one.metrics.latency_p99_ms?.value ?? 0) > 4 * (one.metrics.latency_ms?.value ?? Infinity)))
    || spread(places) > 12;
}

function spread(places: Measured[]): number {
  const each = places.flatMap((place) => there(place.result).map(({ one }) => one.metrics.latency_ms?.value ?? 0)).filter((n) => n > 0);
  return each.length ? Math.max(...each) / Math.min(...each) : 1;
}
