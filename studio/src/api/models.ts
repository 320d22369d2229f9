import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect } from "react";
import type { Figure } from "./benchmarks";
import { all, get, type Told, whole } from "./client";
import { isMissing } from "./jobs";
import { listen } from "./live";
import type { Dataset, Model, Version } from "./studio";

const again = (n: number, error: unknown) => n < 1 && !isMissing(error);

export function useModels(search = "") {
  return useQuery({
    queryKey: ["models", "list", search],
    queryFn: ({ signal }) => whole<Model>("/models", { search }, signal),
    retry: again,
    placeholderData: (before) => before,
    refetchInterval: (query) => (query.state.data?.items.some((one) => one.newest?.state === "checking") ? 1_000 : query.state.error ? false : 15_000),
  });
}

/** One that a link names, wherever it is in the list. */
export function useModel(id: string) {
  return useQuery({ queryKey: ["models", "one", id], queryFn: ({ signal }) => get<Model>(`/models/${id}`, {}, signal), enabled: id !== "", retry: again });
}

export function useVersions(model: string) {
  return useQuery({
    queryKey: ["models", "versions", model],
    queryFn: () => all<Version>(`/models/${model}/versions`),
    enabled: model !== "",
    refetchInterval: (query) => (query.state.data?.some((one) => one.state === "checking") ? 1_000 : 15_000),
  });
}

export function useDatasets() {
  return useQuery({
    queryKey: ["models", "datasets"],
    queryFn: () => all<Dataset>("/datasets"),
    retry: again,
    refetchInterval: (query) => (query.state.data?.some((one) => one.state === "checking") ? 1_000 : query.state.error ? false : 15_000),
  });
}

export type Layer = { name: string; op: string; outputs?: string[]; shapes?: unknown[]; weight_bytes?: number; macs?: number };

export function useGraph(version: string, enabled: boolean) {
  return useQuery({ queryKey: ["models", "graph", version], queryFn: ({ signal }) => get<{ layers: Layer[] }>(`/versions/${version}/graph`, {}, signal), enabled, staleTime: Infinity });
}

export type Profile = Told["LayerProfile"];
export type Measured = Told["LayersMeasured"];

/** Whether a measurement of layers still waits or runs. */
export function measuring(one: Profile | null | undefined): boolean {
  return one?.state === "queued" || one?.state === "running" || one?.state === "stopping";
}

/** What was measured of a version's layers; null: nobody asked for it yet. Its progress comes as the hub tells of it. */
export function useProfile(version: string, enabled: boolean) {
  const client = useQueryClient();
  const found = useQuery({
    queryKey: ["models", "profile", version],
    queryFn: async ({ signal }): Promise<Profile | null> => {
      try {
        return await get<Profile>(`/versions/${version}/profile`, {}, signal);
      } catch (error) {
        if (isMissing(error)) return null;
        throw error;
      }
    },
    enabled,
    refetchInterval: (query) => (measuring(query.state.data) ? 2_000 : false),
  });
  const job = measuring(found.data) ? found.data?.job : undefined;
  useEffect(() => {
    if (!job) return;
    return listen((event) => {
      if (event.kind !== "job.progress" || event.of !== job) return;
      const { stage, tried, elapsed_s } = event.data as Pick<Profile, "stage" | "tried" | "elapsed_s">;
      client.setQueryData<Profile | null>(["models", "profile", version], (known) => (known?.job === job ? { ...known, stage, tried, elapsed_s } : known));
    });
  }, [job, version, client]);
  return found;
}

export type Comparison = { versions: Version[]; rows: { what: string; values: unknown[]; same: boolean }[] };

export function useComparison(of: string[]) {
  return useQuery({
    queryKey: ["models", "compare", ...of],
    queryFn: ({ signal }) => get<Comparison>(`/versions/compare?${of.map((one) => `of=${one}`).join("&")}`, {}, signal),
    enabled: of.length > 1,
  });
}

export type Run = Omit<Told["RunTold"], "seen"> & { seen: ({ engine: string; metrics: Record<string, Figure>; ratio: number[] | null } | null)[] };

/** What was measured of them in one run. */
export function useTogether(of: string[]) {
  return useQuery({
    queryKey: ["models", "together", ...of],
    queryFn: ({ signal }) => get<{ runs: Run[] }>(`/benchmarks/together?${of.map((one) => `of=${one}`).join("&")}`, {}, signal),
    enabled: of.length > 1,
    retry: again,
  });
}
