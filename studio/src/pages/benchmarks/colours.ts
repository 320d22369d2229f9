/**
 * Series: the baseline in grey, the others of the accent and the ink. Colour is never the only sign: each has its letter
 * and, as a line, its own dash.
 */
type Names = "mute" | "accent" | "ink" | "paper";
const MIXES: [Names, Names, number][] = [
  ["mute", "mute", 0], ["accent", "accent", 0], ["ink", "ink", 0], ["accent", "ink", 0.5], ["accent", "paper", 0.15], ["mute", "ink", 0.5], ["accent", "mute", 0.6], ["ink", "paper", 0.25],
];
export const DASHES: number[][] = [[5, 3], [], [], [8, 3, 2, 3], [12, 3], [2, 3], [10, 4], [3, 2]];

export function css(i: number): string {
  const [a, b, part] = MIXES[i % MIXES.length] as [Names, Names, number];
  return part ? `color-mix(in srgb, var(--${a}), var(--${b}) ${100 * part}%)` : `var(--${a})`;
}

/** The same for a canvas. `of`: tokens as #rrggbb. */
export function hex(i: number, of: Record<Names, string>): string {
  const [a, b, part] = MIXES[i % MIXES.length] as [Names, Names, number];
  const read = (text: string) => [1, 3, 5].map((at) => Number.parseInt(text.slice(at, at + 2), 16));
  const [x, y] = [read(of[a]), read(of[b])];
  return `#${x.map((n, k) => Math.round(n * (1 - part) + (y[k] ?? n) * part).toString(16).padStart(2, "0")).join("")}`;
}
