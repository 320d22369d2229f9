import { useQuery } from "@tanstack/react-query";
import { all, get, type Page, type Told } from "./client";

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
    queryFn: ({ signal }) => get<Page<Alert>>("/alerts", { state: "resolved", limit: 100 }, signal),
    enabled,
    refetchInterval: 30_000,
  });
}
