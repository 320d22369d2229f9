import { useQuery } from "@tanstack/react-query";
import { get, Problem } from "./client";
import type { Job, Page } from "./studio";

/** Whether an error says that this hub has no such API: it is older than the pages' contract. */
export function isMissing(error: unknown): boolean {
  return error instanceof Problem && (error.status === 404 || error.status === 405);
}

export function useJobs() {
  return useQuery({
    queryKey: ["jobs", "list"],
    queryFn: ({ signal }) => get<Page<Job>>("/optimization-jobs", {}, signal),
    refetchInterval: (query) => (query.state.error ? false : 5_000),
    retry: (n, error) => n < 1 && !isMissing(error),
  });
}
