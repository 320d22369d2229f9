import type { Fit } from "../../api/profiles";
import { value } from "../../lib/format";
import type { Level } from "../../ui/Sign";
import { w } from "../../words";

export const LEVEL: Record<Fit["verdict"], Level> = { fits: "good", tight: "attention", "does not fit": "bad" };
export type Predicted = { value: number; low: number | null; high: number | null; unit: string; conditions: Record<string, unknown> };

export function predicted(told: unknown): Predicted | null {
  const one = told as Predicted | undefined;
  return one && typeof one.value === "number" ? one : null;
}

/** Milliseconds as people read them. */
export function ms(n: number): string {
  if (n < 0.1) return `${value(n * 1000)} µs`;
  return n >= 1000 ? `${value(n / 1000)} s` : `${value(n)} ms`;
}

/** The fullest of what it takes: its name and its share. */
export function fullest(fit: Fit): [string, number] {
  return Object.entries(fit.shares).reduce<[string, number]>((most, one) => (one[1] > most[1] ? one : most), ["memory", 0]);
}

export function percent(part: number): string {
  if (part > 1.995) return `${value(part)} ×`;
  if (part < 0.001 && part > 0) return "<0.1%";
  return `${part < 0.0995 ? (100 * part).toFixed(1).replace(/\.0$/, "") : Math.round(100 * part)}%`;
}

/** Why, in a line: it stands in the cell. */
export function reason(fit: Fit): string {
  const [what, part] = fullest(fit);
  if (fit.verdict === "does not fit" && part <= 1) return fit.problems[0]?.split(":")[0] ?? "";
  return `${percent(part)} ${w.devices.shareOf[what] ?? what}`;
}

/** A figure in units that people use. */
export function figure(one: { value: number; unit: string }): string {
  const steps: Record<string, [string[], number]> = {
    B: [["B", "kB", "MB", "GB", "TB"], 1000], "B/s": [["B/s", "kB/s", "MB/s", "GB/s", "TB/s"], 1000], Hz: [["Hz", "kHz", "MHz", "GHz"], 1000],
    "MAC/s": [["MAC/s", "kMAC/s", "MMAC/s", "GMAC/s", "TMAC/s"], 1000], J: [["pJ", "nJ", "µJ", "mJ", "J"], 1000],
  };
  const found = steps[one.unit];
  if (!found) return one.unit === "ratio" ? percent(one.value) : `${value(one.value)} ${one.unit}`;
  let n = one.unit === "J" ? one.value * 1e12 : one.value;
  let at = 0;
  while (n >= found[1] && at < found[0].length - 1) {
    n /= found[1];
    at += 1;
  }
  return `${value(n)} ${found[0][at]}`;
}
