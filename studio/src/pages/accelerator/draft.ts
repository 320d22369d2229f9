import { useSearch } from "wouter";
import { useParam } from "../../lib/url";
import type { Job, Limits, Preference } from "../../api/studio";

/** What is asked for, kept in the address: a link to it asks for the same. */
export type Draft = { limits: Limits; preference: Required<Pick<Preference, "latency" | "size" | "memory" | "accuracy">> };
const USUAL = { latency: 1, size: 0.3, memory: 0, accuracy: 0.2 };

export function useDraft(job: Job | undefined): [Draft, (limits: Limits) => void, (preference: Draft["preference"]) => void] {
  useSearch();
  const [limitsText, setLimits] = useParam("limits");
  const [preferenceText, setPreference] = useParam("prefer");
  const limits = limitsText ? read(limitsText) : clean(job?.wish.limits ?? {});
  const given = preferenceText ? read(preferenceText) : (job?.wish.preference ?? {});
  return [
    { limits: limits as Limits, preference: { ...USUAL, ...given } },
    (next) => setLimits(write(clean(next)) || "none:0"),
    (next) => setPreference(write(next)),
  ];
}

function clean(limits: Limits): Limits {
  return Object.fromEntries(Object.entries(limits).filter(([, limit]) => limit !== null && limit !== undefined));
}

/** `max_latency_ms:5,max_size_mb:1` */
function read(text: string): Record<string, number> {
  const found: Record<string, number> = {};
  for (const part of text.split(",")) {
    const [name, told] = part.split(":");
    const n = Number(told);
    if (name && name !== "none" && Number.isFinite(n)) found[name] = n;
  }
  return found;
}

function write(values: object): string {
  return Object.entries(values).map(([name, n]) => `${name}:${n}`).join(",");
}
