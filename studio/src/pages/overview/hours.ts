import type { Told } from "../../api/client";

export type Hour = { began: string; requests: number; errors: number; p99: number };

/** The fleet's hours, oldest first: rows of several models and bundles taken together. The 99th percentile of an hour is
 * that of its busiest row: percentiles cannot be added. */
export function hours(rows: Told["PeriodTold"][]): Hour[] {
  const found = new Map<string, Hour & { most: number }>();
  for (const row of rows) {
    const hour = found.get(row.began) ?? { began: row.began, requests: 0, errors: 0, p99: 0, most: -1 };
    const series = row.series.latency_ms;
    hour.requests += row.counters.requests ?? 0;
    hour.errors += row.counters.errors ?? 0;
    if (series && series.count > hour.most) {
      hour.most = series.count;
      hour.p99 = series.quantiles["0.99"] ?? 0;
    }
    found.set(row.began, hour);
  }
  return [...found.values()].sort((a, b) => a.began.localeCompare(b.began)).slice(-24);
}
