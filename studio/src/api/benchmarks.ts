import { useInfiniteQuery, useQueries, useQuery } from "@tanstack/react-query";
import { get, Problem, whole, type Page, type Told } from "./client";
import type { Model, Version } from "./studio";

export type Benchmark = Told["BenchmarkTold"];
export type Place = Told["PlaceTold"];
export type Whole = Omit<Told["BenchmarkWhole"], "places"> & { places: Measured[] };
export type Measured = Place & { result: Result | null };
/** What a place answers: `BenchmarkResult` in the device protocol. */
export type Result = { number: number; subjects: Benched[]; machine: Record<string, unknown>; why: string };
export type Benched = {
  subject: string; engine: string; metrics: Record<string, Figure>; missing: Record<string, string>; ratio: number[]; distribution_ms: number[];
  rounds: number; notes: string[]; why: string;
};
export type Figure = { value: number; unit: string; kind: "measured" | "estimated" | "predicted"; n: number; low: number | null; high: number | null };

export const MOST_SUBJECTS = 8;
export const MOST_DEVICES = 100;
export const MOST_SECONDS = 300;
const OPEN = new Set<Place["state"]>(["waiting", "asked", "queued", "running", "stopping"]);

/** Whether something is still to be measured there. */
export function open(place: Place): boolean {
  return OPEN.has(place.state);
}

/** The history, newest first, page by page. */
export function useBenchmarks() {
  return useInfiniteQuery({
    queryKey: ["benchmarks", "list"],
    queryFn: ({ pageParam, signal }) => get<Page<Benchmark>>("/benchmarks", { limit: 50, cursor: pageParam }, signal),
    initialPageParam: "",
    getNextPageParam: (page) => page.next ?? undefined,
    refetchInterval: (query) => (query.state.data?.pages.some((page) => page.items.some((one) => one.state === "running")) ? 4_000 : 20_000),
  });
}

export function useBenchmark(id: string) {
  return useQuery({
    queryKey: ["benchmarks", "one", id],
    queryFn: ({ signal }) => get<Whole>(`/benchmarks/${encodeURIComponent(id)}`, {}, signal),
    enabled: id !== "",
    refetchInterval: (query) => (query.state.error ? false : query.state.data?.state === "running" ? 2_000 : 30_000),
  });
}

export function useGroups() {
  return useQuery({ queryKey: ["groups", "all"], queryFn: ({ signal }) => whole<Told["GroupTold"]>("/groups", {}, signal), staleTime: 15_000 });
}

export function useWorkers() {
  return useQuery({ queryKey: ["workers"], queryFn: ({ signal }) => get<Page<Told["WorkerTold"]>>("/workers", {}, signal), refetchInterval: 10_000 });
}

/** Devices by their names; one that is not there is an error of its own. */
export function useDevices(names: string[]) {
  return useQueries({
    queries: names.map((name) => ({
      queryKey: ["devices", name],
      queryFn: ({ signal }: { signal: AbortSignal }) => get<Told["DeviceWhole"]>(`/devices/${encodeURIComponent(name)}`, {}, signal),
      staleTime: 15_000,
      retry: (n: number, error: Error) => n < 2 && error instanceof Problem && error.status !== 404,
    })),
  });
}

export type Named = { version: Version; model: string };

/** Versions by their ids, each with its model's name. */
export function useNamed(ids: string[]) {
  return useQueries({
    queries: ids.map((id) => ({
      queryKey: ["models", "named", id],
      queryFn: async ({ signal }: { signal: AbortSignal }): Promise<Named> => {
        const version = await get<Version>(`/versions/${encodeURIComponent(id)}`, {}, signal);
        return { version, model: (await get<Model>(`/models/${version.model}`, {}, signal)).name };
      },
      staleTime: 15_000,
      retry: (n: number, error: Error) => n < 2 && error instanceof Problem && error.status !== 404 && error.status !== 422,
    })),
  });
}
