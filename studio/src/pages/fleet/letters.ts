import type { Level } from "../../ui/Sign";
import { w } from "../../words";

/** What a letter of the map means, how it is drawn, and the words for it. */
export type Look = "good" | "attention" | "bad" | "silent" | "dot" | "faint" | "half" | "moving" | "target" | "back";

export type Meaning = { name: string; look: Look; level: Level };

export const HEALTH: Record<string, Meaning> = {
  o: { name: w.fleet.health.ok, look: "good", level: "good" },
  w: { name: w.fleet.health.warn, look: "attention", level: "attention" },
  b: { name: w.fleet.health.bad, look: "bad", level: "bad" },
  s: { name: w.fleet.health.silent, look: "silent", level: "unknown" },
};

export const STATES: Record<string, Meaning> = {
  ".": { name: w.fleet.notIn, look: "faint", level: "unknown" },
  q: { name: w.fleet.statesShort.waiting, look: "dot", level: "unknown" },
  f: { name: w.fleet.statesShort.offered, look: "half", level: "active" },
  g: { name: w.fleet.statesShort.staged, look: "half", level: "active" },
  h: { name: w.fleet.statesShort.switching, look: "moving", level: "active" },
  a: { name: w.fleet.statesShort.active, look: "good", level: "good" },
  x: { name: w.fleet.statesShort.failed, look: "bad", level: "bad" },
  k: { name: w.fleet.statesShort.skipped, look: "dot", level: "unknown" },
  r: { name: w.fleet.statesShort.reverting, look: "moving", level: "active" },
  v: { name: w.fleet.statesShort.reverted, look: "back", level: "attention" },
  l: { name: w.fleet.statesShort.released, look: "dot", level: "unknown" },
};

/** As a key lists them: from the beginning of a rollout to its end. */
export const ORDER = ["q", "Q", "f", "g", "h", "a", "x", "r", "v", "l", "k", "."];

export function meaning(letter: string, by: "health" | "rollout"): Meaning {
  if (by === "health") return HEALTH[letter] ?? { name: letter, look: "dot", level: "unknown" };
  const small = STATES[letter.toLowerCase()] ?? { name: letter, look: "dot", level: "unknown" };
  return letter !== letter.toLowerCase() && letter === "Q" ? { name: w.fleet.control, look: "target", level: "unknown" } : small;
}
