import type { Layer, Measured } from "../../api/models";

export const HEATS = ["macs", "weights", "time", "sensitivity"] as const;
export type Heat = (typeof HEATS)[number];
type Operator = Measured["operators"][number];

/**
 * A layer with what was measured of it. `operator`: what the engine ran for it; where that stands for several layers,
 * `lead` is the one with the most work, beside which their time is told.
 */
export type Row = { layer: Layer; operator: Operator | null; lead: string; level: number | null };

/** Layers in the order in which they run, with what was measured of each. */
export function join(layers: Layer[], found: Measured | null | undefined): Row[] {
  const of = new Map<string, Operator>();
  for (const operator of found?.operators ?? []) for (const name of operator.layers) of.set(name, operator);
  const leads = new Map<Operator, Layer>();
  for (const layer of layers) {
    const operator = of.get(layer.name);
    if (!operator) continue;
    const best = leads.get(operator);
    if (!best || weight(layer, operator) > weight(best, operator)) leads.set(operator, layer);
  }
  const levels = new Map((found?.sensitivity ?? []).map((one) => [one.layer, one.sqnr_db]));
  return layers.map((layer) => {
    const operator = of.get(layer.name) ?? null;
    return { layer, operator, lead: operator ? (leads.get(operator)?.name ?? "") : "", level: levels.get(layer.name) ?? null };
  });
}

function weight(layer: Layer, operator: Operator): number {
  return (layer.macs ?? 0) + (layer.op === operator.op ? 0.5 : 0);
}

/** How strongly each row is coloured, from 0 to 1. */
export function heats(rows: Row[], by: Heat): number[] {
  if (by === "sensitivity") {
    const levels = rows.flatMap((one) => (one.level === null ? [] : [one.level]));
    const low = levels.reduce((a, b) => Math.min(a, b), Infinity);
    const high = levels.reduce((a, b) => Math.max(a, b), -Infinity);
    return rows.map((one) => (one.level === null ? 0 : high > low ? 0.02 + (0.98 * (high - one.level)) / (high - low) : 1));
  }
  const values = rows.map((one) => (by === "time" ? (one.operator?.ms ?? 0) : ((by === "macs" ? one.layer.macs : one.layer.weight_bytes) ?? 0)));
  const most = values.reduce((a, b) => Math.max(a, b), 0);
  return values.map((one) => (most > 0 ? one / most : 0));
}

/** Decimals that tell the longest of these times (ms) in four digits, and all of them in one column. */
export function decimals(rows: Row[]): number {
  const most = rows.reduce((a, one) => Math.max(a, one.operator?.ms ?? 0), 0);
  return most > 0 ? Math.min(4, Math.max(0, 3 - Math.floor(Math.log10(most)))) : 0;
}
