import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useMay } from "../../api/account";
import { send } from "../../api/client";
import { type Candidate, type Job, type Limits, OVER } from "../../api/studio";
import { useGo } from "../../lib/url";
import { Button } from "../../ui/Button";
import { Trouble } from "../../ui/Trouble";
import { w } from "../../words";

/** Another candidate than the one that a job's bundle holds: a job of its own makes it, judges it and seals it. */
export function Take({ job, one, limits }: { job: Job; one: Candidate; limits: Limits }) {
  const client = useQueryClient();
  const go = useGo();
  const may = useMay()("jobs.write");
  const take = useMutation({
    mutationFn: () => send<Job>("POST", `/optimization-jobs/${job.id}/choice`, { candidate: one.id, limits }),
    onSuccess: async (made) => {
      await client.invalidateQueries({ queryKey: ["jobs"] });
      go(`/accelerator-studio?job=${made.id}`);
    },
  });
  const best = job.result?.best ?? "";
  const same = one.recipe.length === 0 && job.wish.only?.candidate === one.id; // the original, sealed under an id of its own
  if (!OVER.has(job.state) || best === one.id || (best && same) || (!best && job.wish.only?.candidate === one.id) || !Object.keys(one.metrics).length) return null;
  return (
    <div className="space-y-2 rounded border border-line p-3">
      <p className="text-mute">{best ? w.studio.take.other(best, Boolean(job.wish.only)) : w.studio.take.none} {w.studio.take.told}</p>
      {may && <Button disabled={take.isPending} onClick={() => take.mutate()}>{w.studio.take.make}</Button>}
      {take.error && <Trouble error={take.error} />}
    </div>
  );
}
