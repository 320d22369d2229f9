import { useQuery } from "@tanstack/react-query";
import { all, often, type Told, whole } from "./client";

export type Alert = Told["AlertTold"];

export function useOpenAlerts() {
  return useQuery({
    queryKey: ["alerts", "open"],
    queryFn: () => all<Alert>("/alerts", { state: "open" }),
    refetchInterval: 15_000,
  });
}

export function useResolvedAlerts(enabled: boolean) {
  return useQuery({
    queryKey: ["alerts", "resolved"],
    queryFn: ({ signal }) => whole<Alert>("/alerts", { state: "resolved" }, signal),
    enabled,
    refetchInterval: (query) => often(query.state.data, 30_000),
  });
}
