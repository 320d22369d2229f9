import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { useMay } from "../../api/account";
import { get, send, type Told } from "../../api/client";
import { useDatasets, useModels, useVersions } from "../../api/models";
import { useProfiles } from "../../api/profiles";
import type { Candidate, Job, Limits, Version } from "../../api/studio";
import { useParam } from "../../lib/url";
import { Button, ButtonLink } from "../../ui/Button";
import { Choice, Field } from "../../ui/Field";
import { Trouble } from "../../ui/Trouble";
import { w } from "../../words";
import type { Draft } from "./draft";
import { AXES } from "./figures";
import { suits, usual } from "./fitting";
import { Limit } from "./Limit";

/** What is asked for: a version, data, a device, limits, a budget. */
export function Ask({ job, draft, candidates, onLimits, onStarted }: { job: Job | undefined; draft: Draft; candidates: Candidate[]; onLimits: (limits: Limits) => void; onStarted: (job: Job) => void }) {
  const models = useModels();
  const datasets = useDatasets();
  const profiles = useProfiles();
  const may = useMay();
  const client = useQueryClient();
  const [wanted, setVersion] = useParam("version");
  const [data, setDataset] = useParam("dataset");
  const [target, setTarget] = useParam("target", job?.target ?? "host");
  const [budget, setBudget] = useState(job?.wish.budget_s ?? 120);
  const [seed, setSeed] = useState(job?.wish.seed ?? 0);
  const [threads, setThreads] = useState(job?.wish.threads ?? 1);
  const [keep, setKeep] = useState(job?.wish.keep_structure ?? false);
  const [metric, setMetric] = useState(job?.wish.metric ?? "");
  const ready = (models.data?.items ?? []).filter((one) => one.newest?.state === "ready");
  const readyData = (datasets.data ?? []).filter((one) => one.state === "ready");
  const version = wanted || job?.version || ready[0]?.newest?.id || "";
  const older = useQuery({ queryKey: ["models", "version", version], queryFn: ({ signal }) => get<Told["VersionTold"]>(`/versions/${version}`, {}, signal), enabled: models.isSuccess && !ready.some((one) => one.newest?.id === version) && version !== "", retry: false });
  const model = ready.find((one) => one.newest?.id === version)?.newest ?? (older.data as Version | undefined);
  const dataset = data || (version === job?.version ? job.dataset : "") || usual(model, readyData);
  const start = useMutation({
    mutationFn: () => send<Job>("POST", "/optimization-jobs", {
      version, dataset, target, limits: draft.limits, preference: draft.preference, budget_s: budget, seed, threads, keep_structure: keep, metric: metric || null,
    }),
    onSuccess: async (made) => {
      await client.invalidateQueries({ queryKey: ["jobs", "list"] });
      onStarted(made);
    },
  });
  // Of the model that is chosen, the versions before its newest, too.
  const siblings = useVersions(model?.model ?? "");
  const before = (siblings.data ?? []).filter((one) => one.state === "ready" && one.stage !== "retired" && !ready.some((it) => it.newest?.id === one.id));
  const targets = [...(profiles.data?.own ?? []), ...(profiles.data?.templates ?? [])];
  const known = ready.some((one) => one.newest?.id === version);
  const named = older.data && `${models.data?.items.find((one) => one.id === older.data.model)?.name ?? older.data.filename} · ${w.models.version(older.data.number)}`;
  return (
    <form className="space-y-4" onSubmit={(event) => { event.preventDefault(); start.mutate(); }}>
      <Choice label={w.studio.model} value={version} onChange={(e) => setVersion(e.target.value)} required>
        <option value="" disabled>{w.studio.chooseModel}</option>
        {!known && version && !before.some((one) => one.id === version) && <option value={version}>{named ?? version}</option>}
        {before.map((one) => <option key={one.id} value={one.id}>{models.data?.items.find((it) => it.id === one.model)?.name} · {w.models.version(one.number)}</option>)}
        {ready.map((one) => one.newest && <option key={one.id} value={one.newest.id}>{one.name} · {w.models.version(one.newest.number)}</option>)}
      </Choice>
      <Choice label={w.studio.dataset} value={dataset} onChange={(e) => setDataset(e.target.value)} required>
        <option value="" disabled>{w.studio.chooseDataset}</option>
        {datasets.data && dataset && !readyData.some((one) => one.id === dataset) && <option value={dataset}>{w.studio.gone}</option>}
        {readyData.map((one) => <option key={one.id} value={one.id}>{suits(model, one) ? one.name : w.studio.misfit(one.name)}</option>)}
      </Choice>
      {targets.length ? (
        <Choice label={w.studio.target} value={target} onChange={(e) => setTarget(e.target.value)}>
          {!targets.some((one) => one.name === target) && <option value={target}>{target}</option>}
          {targets.map((one) => <option key={one.name} value={one.name}>{one.title}</option>)}
        </Choice>
      ) : <Field label={w.studio.target} hint={w.studio.targetHint} value={target} onChange={(e) => setTarget(e.target.value)} required />}
      <fieldset className="space-y-3 border-t border-line pt-3">
        <legend className="sr-only">{w.studio.limits}</legend>
        {AXES.map((axis) => <Limit key={axis} axis={axis} limits={draft.limits} candidates={candidates} onChange={onLimits} />)}
      </fieldset>
      <label className="block border-t border-line pt-3">
        <span className="flex justify-between font-medium">{w.studio.budget}<span className="num font-normal">{w.studio.seconds(budget)}</span></span>
        <input type="range" min={15} max={1800} step={15} value={budget} onChange={(e) => setBudget(Number(e.target.value))} className="w-full" />
      </label>
      <details>
        <summary className="text-mute cursor-pointer">{w.studio.more}</summary>
        <div className="grid grid-cols-2 gap-3 pt-3">
          <Field label={w.studio.threads} type="number" min={1} max={256} value={threads} onChange={(e) => setThreads(Number(e.target.value))} />
          <Field label={w.studio.seed} type="number" min={0} value={seed} onChange={(e) => setSeed(Number(e.target.value))} />
          <div className="col-span-2">
            <Choice label={w.studio.metric} value={metric} onChange={(e) => setMetric(e.target.value)}>
              <option value="">{w.studio.metricUsual}</option>
              {Object.entries(w.studio.metrics).map(([name, told]) => <option key={name} value={name}>{told}</option>)}
            </Choice>
          </div>
          <label className="col-span-2 flex gap-2"><input type="checkbox" checked={keep} onChange={(e) => setKeep(e.target.checked)} /><span>{w.studio.keepStructure}<span className="text-mute">: {w.studio.keepStructureTold}</span></span></label>
        </div>
      </details>
      {start.error && <Trouble error={start.error} />}
      {models.data && !ready.length ? <ButtonLink kind="primary" href="/models?upload=model">{w.models.upload}</ButtonLink>
        : <Button kind="primary" type="submit" className="w-full" disabled={start.isPending || !may("jobs.write") || !version || !dataset}>{job ? w.studio.again : w.studio.start}</Button>}
    </form>
  );
}
