import type { Dataset, Tensor, Version } from "../../api/studio";

/** How well data suit a version's inputs, as far as names and shapes tell: 2 they do, 1 perhaps, 0 they do not. */
export function suits(version: Version | null | undefined, data: Dataset): 0 | 1 | 2 {
  const wanted = version?.signature?.inputs ?? [];
  const given = (data.facts?.inputs ?? []) as Tensor[];
  if (!wanted.length || !given.length) return 1;
  if (given[0]?.name === "images") return wanted.length === 1 && wanted[0]?.shape.length === 4 ? 1 : 0; // they are resized
  const named = wanted.every((one) => given.some((it) => it.name === one.name && alike(one, it)));
  if (named) return 2;
  const [only, one] = [wanted[0], given[0]];
  return wanted.length === 1 && given.length === 1 && only && one && alike(only, one) ? 1 : 0;
}

/** A sample's shape against the model's, whose first dimension is the batch. */
function alike(wanted: Tensor, given: Tensor): boolean {
  const shape = wanted.shape.slice(1);
  return shape.length === given.shape.length && shape.every((n, i) => typeof n !== "number" || typeof given.shape[i] !== "number" || n === given.shape[i]);
}

/** The newest of those that suit best; none that surely do not. */
export function usual(version: Version | null | undefined, list: Dataset[]): string {
  const ranked = [2, 1].map((level) => list.find((one) => suits(version, one) === level));
  return ranked.find((one) => one)?.id ?? "";
}
