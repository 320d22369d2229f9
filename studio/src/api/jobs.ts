import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect } from "react";
import { all, get, often, Problem, whole } from "./client";
import { listen } from "./live";
import { type Candidate, type Job, OVER, type Report } from "./studio";

/** Whether an error says that this hub has no such API: it is older than the pages' contract. */
export function isMissing(error: unknown): boolean {
  return error instanceof Problem && (error.status === 404 || error.status === 405);
}

export function useJobs() {
  return useQuery({
    queryKey: ["jobs", "list"],
    queryFn: ({ signal }) => whole<Job>("/optimization-jobs", {}, signal),
    refetchInterval: (query) => (query.state.error ? false : often(query.state.data, 5_000)),
    retry: (n, error) => n < 1 && !isMissing(error),
  });
}

export function useJob(id: string) {
  return useQuery({
    queryKey: ["jobs", "one", id],
    queryFn: ({ signal }) => get<Job>(`/optimization-jobs/${id}`, {}, signal),
    enabled: id !== "",
    refetchInterval: (query) => (query.state.data && OVER.has(query.state.data.state) ? false : 2_000),
  });
}

type Told = { number: number; candidate: Candidate };

/** The candidates of a job as they are measured: read once, then one by one as the hub tells of them. */
export function useCandidates(job: Job | undefined) {
  const client = useQueryClient();
  const id = job?.id ?? "";
  const over = job ? OVER.has(job.state) : false;
  const key = ["jobs", "candidates", id];
  useEffect(() => {
    if (!id) return;
    return listen((event) => {
      if (event.kind !== "job.candidate" || event.of !== id) return;
      const told = event.data as unknown as Told;
      client.setQueryData<Told[]>(key, (known = []) => [...known.filter((one) => one.candidate.id !== told.candidate.id), told]);
    });
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [id, client]);
  return useQuery({
    queryKey: key,
    queryFn: () => all<Told>(`/optimization-jobs/${id}/candidates`, {}, 2000),
    enabled: id !== "",
    refetchInterval: over ? false : 4_000,
  });
}

export function useReport(job: Job | undefined) {
  return useQuery({
    queryKey: ["jobs", "report", job?.id, job?.state],
    queryFn: ({ signal }) => get<Report>(`/optimization-jobs/${job?.id ?? ""}/report`, {}, signal),
    enabled: job !== undefined && (job.state === "done" || job.state === "infeasible"),
    staleTime: Infinity,
  });
}
