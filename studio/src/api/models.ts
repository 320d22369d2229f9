import { useQuery } from "@tanstack/react-query";
import { all, get, spelled } from "./client";
import { isMissing } from "./jobs";
import type { Dataset, Model, Page, Version } from "./studio";

const again = (n: number, error: unknown) => n < 1 && !isMissing(error);

export function useModels(search = "") {
  return useQuery({
    queryKey: ["models", "list", search],
    queryFn: ({ signal }) => get<Page<Model>>("/models", { search, limit: 100 }, signal),
    retry: again,
    placeholderData: (before) => before,
    refetchInterval: (query) => (query.state.data?.items.some((one) => one.newest?.state === "checking") ? 1_000 : query.state.error ? false : 15_000),
  });
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

export type Comparison = { versions: Version[]; rows: { what: string; values: unknown[]; same: boolean }[] };

export function useComparison(of: string[]) {
  return useQuery({
    queryKey: ["models", "compare", ...of],
    queryFn: ({ signal }) => get<Comparison>(`/versions/compare${spelled({})}?${of.map((one) => `of=${one}`).join("&")}`, {}, signal),
    enabled: of.length > 1,
  });
}
