import { useJob, useReport } from "../../api/jobs";
import { w } from "../../words";
import { Wins } from "../accelerator/Wins";

/** What its search measured of the candidate that a version is. */
export function Found({ job }: { job: string }) {
  const told = useJob(job).data;
  const report = useReport(told).data;
  const one = report?.candidates.find((it) => it.id === told?.result?.best);
  if (!report || !one) return null;
  return (
    <div className="space-y-1">
      <Wins one={one} baseline={report.baseline} />
      <p className="text-sm text-mute">{w.models.foundTold(told?.target ?? "", w.recipes.engines[one.engine] ?? one.engine)}</p>
    </div>
  );
}
