/** Types of models, datasets and jobs, by hand until the hub's OpenAPI document has them: see api/schema.ts. */

export type Page<T> = { items: T[]; next?: string | null };
export type Stage = "registered" | "validated" | "optimized" | "deployed" | "monitored" | "retired";
export type Readiness = "checking" | "ready" | "refused";
export type Tensor = { name: string; dtype: string; shape: (number | string | null)[] };

export type Version = {
  id: string; model: string; number: number; state: Readiness; reason: string; stage: Stage; filename: string; format: string; digest: string;
  file: string; length: number; signature: { inputs: Tensor[]; outputs: Tensor[] } | null; facts: Record<string, number | string | null> | null;
  parent: string | null; job: string | null; by: string; made: string;
};
export type Model = { id: string; name: string; description: string; newest: Version | null; versions: number; made: string };
export type Dataset = {
  id: string; name: string; state: Readiness; reason: string; filename: string; file: string; length: number;
  facts: Record<string, unknown> | null; made: string;
};

export type JobState = "queued" | "running" | "stopping" | "done" | "infeasible" | "failed" | "cancelled";
export type Limits = Partial<Record<"max_latency_ms" | "max_size_mb" | "max_memory_mb" | "max_energy_mj" | "max_accuracy_drop", number>>;
export type Preference = Partial<Record<"latency" | "size" | "memory" | "energy" | "accuracy", number>>;
export type Wish = { limits?: Limits; preference?: Preference | null; budget_s?: number; seed?: number; threads?: number; engines?: string[]; keep_structure?: boolean; metric?: string | null; name?: string };
export type Job = {
  id: string; kind: string; state: JobState; reason: string; version: string; dataset: string; target: string; wish: Wish; priority: number;
  progress: { stage: string; tried: number; elapsed_s: number; left_s: number | null; best: unknown; baseline: unknown } | null;
  result: { best: string | null; pareto: string[]; binding: string | null; bundle: string | null; notes: string[] } | null;
  worker: string | null; attempts: number; by: string; made: string; began: string | null; ended: string | null;
};
