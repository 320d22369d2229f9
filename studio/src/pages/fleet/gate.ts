import { value } from "../../lib/format";

/** What the hub tells of a gate's look. Logs are natural ones. */
export type Finding = { metric: string; shift: number; low: number; high: number; log_e: number; canaries: number; controls: number; settled: boolean; drifting: boolean };
export type Point = { at: number; wave: number; log_e: number | null; needed: number | null };
export type Evidence = {
  alpha?: number; log_e?: number | null; log_e_needed?: number | null; margins?: Record<string, number>; weights?: Record<string, number>; expected?: Record<string, number>;
  findings?: Finding[]; installs?: { failed_before_switch: number; failed_after_switch: number; offered: number };
};
export type Gaze = { at: number; wave: number; action: "halt" | "hold" | "advance"; why: string; log_e: number | null; needed: number | null; evidence: Evidence; course?: Point[] };

/** Odds to 1, of a natural logarithm. */
export function odds(log: number): string {
  const e = Math.exp(Math.min(log, 700));
  return e >= 1e6 ? `10${superscript(Math.round(log / Math.LN10))}` : e < 0.01 ? "<0.01" : value(e);
}

function superscript(n: number): string {
  return [...String(n)].map((digit) => "⁰¹²³⁴⁵⁶⁷⁸⁹"[Number(digit)] ?? "⁻").join("");
}

/** An amount of a metric as people say it: per cent for latency, points for shares. */
export function amount(metric: string, n: number, signed = true): string {
  const sign = n < 0 ? "−" : signed ? "+" : "";
  if (metric === "latency") return `${sign}${value(100 * Math.abs(Math.expm1(n)))}%`;
  return `${sign}${value(100 * Math.abs(n))} pt`;
}

export function marginOf(evidence: Evidence, metric: string): number {
  return evidence.margins?.[metric.split("/")[0] ?? metric] ?? 0.01;
}
