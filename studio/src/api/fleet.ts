import { useQuery, useQueryClient } from "@tanstack/react-query";
import { get, often, type Page, type Told, whole } from "./client";

export type Rollout = Told["RolloutTold"];
export type RolloutWhole = Told["RolloutShown"];
export type Decision = Told["DecisionTold"];
export type Device = Told["DeviceTold"];
export type MapTold = Told["MapTold"];
export type Block = Told["BlockTold"] & { devices: string[] };
export type FleetMap = { at: string; layout: string; blocks: Block[] };

export const BUSY = new Set(["staging", "wave", "rolling_back"]);

/** The whole fleet, a letter a device. Names come once; from then on only letters. */
export function useMap(rollout: string, everyMs: number) {
  const client = useQueryClient();
  const key = ["map", rollout];
  return useQuery({
    queryKey: key,
    queryFn: async ({ signal }): Promise<FleetMap> => {
      const known = client.getQueryData<FleetMap>(key) ?? client.getQueryData<FleetMap>(["map", ""]);
      const told = await get<MapTold>("/fleet/map", { layout: known?.layout, rollout }, signal);
      const blocks = told.blocks.map((block, i) => ({ ...block, devices: block.devices ?? known?.blocks[i]?.devices ?? [] }));
      return { at: told.at, layout: told.layout, blocks };
    },
    refetchInterval: everyMs,
    structuralSharing: false,
    placeholderData: (before) => before,
  });
}

export function useRollouts() {
  return useQuery({
    queryKey: ["rollouts", "list"],
    queryFn: ({ signal }) => whole<Rollout>("/rollouts", {}, signal),
    refetchInterval: (query) => often(query.state.data, 5_000),
  });
}

/** Bundles whose latest release was halted or taken back. */
export function takenBack(rollouts: Rollout[]): Set<string> {
  const latest = new Map<string, string>();
  for (const one of [...rollouts].sort((a, b) => b.id.localeCompare(a.id))) {
    for (const digest of Object.keys(one.bundles)) if (!latest.has(digest)) latest.set(digest, one.state);
  }
  return new Set([...latest].filter(([, state]) => state === "halted" || state === "rolling_back" || state === "rolled_back").map(([digest]) => digest));
}

export function useRollout(id: string) {
  return useQuery({
    queryKey: ["rollouts", "one", id],
    queryFn: ({ signal }) => get<RolloutWhole>(`/rollouts/${id}`, {}, signal),
    enabled: id !== "",
    refetchInterval: (query) => (BUSY.has(query.state.data?.state ?? "") ? 2_000 : 15_000),
  });
}

export function useDecisions(rollout = "") {
  return useQuery({
    queryKey: ["decisions", rollout],
    queryFn: ({ signal }) => get<Page<Decision>>(rollout ? `/rollouts/${rollout}/decisions` : "/decisions", { limit: 20 }, signal),
    refetchInterval: 5_000,
  });
}

/** The hours of the fleet, or of one device. */
export function useTelemetry(device = "", series = "latency_ms") {
  return useQuery({
    queryKey: ["telemetry", device, series],
    queryFn: ({ signal }) => get<Page<Told["PeriodTold"]>>(device ? `/devices/${device}/telemetry` : "/telemetry", { series, since: since() }, signal),
    refetchInterval: 60_000,
    staleTime: 30_000,
  });
}

function since(): string {
  const hour = Math.floor(Date.now() / 3_600_000) - 47;
  return new Date(hour * 3_600_000).toISOString();
}

/** The first devices with that in their name. */
export function useFound(q: string) {
  return useQuery({
    queryKey: ["devices", "found", q],
    queryFn: ({ signal }) => get<Page<Told["DeviceTold"]>>("/devices", { q, limit: 20 }, signal),
    placeholderData: (before) => before,
  });
}
