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
export type Wish = { limits?: Limits; preference?: Preference | null; budget_s?: number; seed?: number; threads?: number; engines?: string[]; keep_structure?: boolean; metric?: string | null; name?: string; only?: { job: string; candidate: string } | null };
export type Job = {
  id: string; kind: string; state: JobState; reason: string; version: string; dataset: string; target: string; wish: Wish; priority: number;
  progress: { stage?: string; tried?: number; elapsed_s?: number; left_s?: number | null; helpers?: number; helped?: number; best?: Candidate | null; baseline?: Candidate | null } | null;
  result: { best: string | null; pareto: string[]; binding: Clause | null; bundle: string | null; notes: string[]; stopped?: string } | null;
  worker: string | null; attempts: number; by: string; made: string; began: string | null; ended: string | null;
};

export type Measured = { value: number; low: number | null; high: number | null; n: number; unit: string; kind: "measured" | "estimated" | "predicted"; conditions: Record<string, unknown> };
export type Clause = { metric: string; sense: "max" | "min"; limit: number; unit: string; value: number | null; slack: number | null; kept: boolean };
export type Step = { pass: string } & Record<string, unknown>;
export type Candidate = {
  id: string; recipe: Step[]; digest?: string; engine: string; engine_options?: Record<string, unknown>; feasible: boolean; final?: boolean; verdict?: Clause[]; refused?: string[]; doubts?: string[];
  metrics: Record<string, Measured>;
};
export type Gate = { name: string; title: string; state: string; reason: string };
export type Report = {
  baseline: Candidate; best: string | null; pareto: string[]; candidates: Candidate[]; reproduce?: string; notes?: string[];
  sensitivity?: { layer: string; op_type: string; sqnr_db: number }[]; profiles?: Record<string, { by_type: { name: string; op_type: string; ms: number; share: number }[]; slowest?: { name: string; op_type: string; ms: number; share: number }[] }>;
  readiness?: { candidate: string; ready: boolean; gates: Gate[] };
};
export const OVER = new Set<JobState>(["done", "infeasible", "failed", "cancelled"]);
