import { lazy, Suspense, useMemo, useState } from "react";
import { useLocation } from "wouter";
import { useCandidates, useJob, useJobs, useReport } from "../../api/jobs";
import { useModels } from "../../api/models";
import { type Job, OVER } from "../../api/studio";
import { count } from "../../lib/format";
import { useParam } from "../../lib/url";
import { Bones } from "../../ui/Bones";
import { ButtonLink } from "../../ui/Button";
import { Page } from "../../ui/Page";
import { Trouble } from "../../ui/Trouble";
import { w } from "../../words";
import { Ask } from "./Ask";
import { CandidatePanel } from "./CandidatePanel";
import { useDraft } from "./draft";
import { type Axis, AXES, binding, choose, feasible, FIGURES, front, known, once, shown } from "./figures";
import { Prefer } from "./Prefer";
import { Progress } from "./Progress";
import { Strip } from "./Strip";

const Plot = lazy(() => import("./Plot"));

export default function Accelerator() {
  const jobs = useJobs();
  const [asked, setJob] = useParam("job");
  const id = asked === "new" ? "" : asked || (jobs.data?.items[0]?.id ?? "");
  const job = useJob(id);
  const told = useCandidates(job.data);
  const report = useReport(job.data);
  // One that was asked for alone: what its search held against it does not go away by that.
  const source = useJob(job.data?.wish.only?.job ?? "").data;
  const against = useCandidates(source).data?.find((one) => one.candidate.id === job.data?.wish.only?.candidate)?.candidate.refused ?? [];
  const [draft, setLimits, setPreference] = useDraft(job.data);
  const [across, setAcross] = useParam("across", "latency");
  const [up, setUp] = useParam("up", "size");
  const [chosen, setChosen] = useParam("candidate");
  const [pointed, setPointed] = useState("");
  const [, go] = useLocation();
  const baseline = report.data?.baseline ?? job.data?.progress?.baseline ?? null;
  const tried = useMemo(() => {
    const live = (told.data ?? []).map((one) => one.candidate);
    return (report.data?.candidates.length ? report.data.candidates : live).filter((one) => one.id !== baseline?.id);
  }, [told.data, report.data, baseline]);
  const candidates = useMemo(() => once(tried), [tried]);
  const key = JSON.stringify(draft);
  const scene = useMemo(() => {
    const everyone = baseline ? [...candidates, baseline] : candidates;
    // Finalists were judged on samples that the search never saw: where some fit, the choice is among them.
    const fit = everyone.filter((one) => feasible(one, draft.limits));
    const pool = fit.some((one) => one.final) ? fit.filter((one) => one.final) : fit;
    const best = choose(pool, baseline, draft.limits, draft.preference);
    const ids = front(pool).map((one) => one.id);
    return { candidates, baseline, front: ids, best: best?.id ?? "", chosen, limits: draft.limits, across: across as Axis, up: up as Axis, binding: binding(best ?? candidates[0] ?? null, draft.limits) };
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [candidates, baseline, key, across, up, chosen]);
  const everyone = baseline ? [...candidates, baseline] : candidates;
  const only = job.data?.wish.only?.candidate;
  const alone = only && candidates.some((one) => one.id === only) ? only : "";
  const seen = everyone.find((one) => one.id === (pointed || chosen || alone || scene.best)) ?? null;
  const fit = candidates.filter((one) => feasible(one, draft.limits)).length;
  const placed = candidates.filter((one) => Object.keys(one.metrics).length > 0);
  const plotTold = w.studio.plotTold(placed.length, fit, known(placed, "latency")) + (candidates.length > placed.length ? ` ${w.studio.unmade(candidates.length - placed.length)}` : "") + (tried.length > candidates.length ? ` ${w.studio.twice(tried.length - candidates.length)}` : "");

  return (
    <Page title={w.studio.title} told={w.studio.question} action={<JobChoice id={asked === "new" ? "new" : id} list={withOne(jobs.data?.items ?? [], job.data)} cut={!!jobs.data?.next} onChoose={(next) => go(`/accelerator-studio?job=${next}`)} />}>
      {jobs.error && !jobs.data && <div className="mb-4"><Trouble error={jobs.error} again={() => void jobs.refetch()} /></div>}
      <div className="grid gap-4 items-start grid-cols-1 lg:grid-cols-[280px_minmax(0,1fr)] xl:grid-cols-[280px_minmax(0,1fr)_360px]">
        <section aria-label={w.studio.limits} className={`rounded border border-line bg-paper p-4 ${id ? "order-2 lg:order-none" : ""}`}>
          <Ask key={job.data?.id ?? ""} job={job.data} draft={draft} candidates={candidates} onLimits={setLimits} onStarted={(made) => setJob(made.id, true)} />
        </section>
        <div className="space-y-4 min-w-0">
          {job.data && <section aria-label={w.studio.jobs} className="rounded border border-line bg-paper p-4"><Progress job={job.data} /></section>}
          {job.error && <Trouble error={job.error} again={() => void job.refetch()} />}
          <section aria-label={w.studio.plot} className="rounded border border-line bg-paper">
            <div className="flex flex-wrap items-center gap-x-4 gap-y-2 px-4 py-2 border-b border-line">
              <h2 className="text-base mr-auto">{w.studio.plot} <span className="text-mute font-normal">{candidates.length > 0 && plotTold}</span></h2>
              <AxisChoice label={w.studio.acrossBy} value={across as Axis} onChange={setAcross} />
              <AxisChoice label={w.studio.upBy} value={up as Axis} onChange={setUp} />
            </div>
            <div className="relative h-[420px]">
              {everyone.length > 0 ? (
                <Suspense fallback={<div className="p-4"><Bones rows={5} height={60} /></div>}>
                  <Plot scene={scene} label={plotTold} onPoint={setPointed} onChoose={setChosen} />
                </Suspense>
              ) : <div className="absolute inset-0 grid place-items-center p-6 text-center"><Waiting job={job.error ? undefined : job.data} /></div>}
            </div>
            <Key final={everyone.some((one) => one.final && scene.front.includes(one.id))} />
            {scene.binding && <p className="px-4 pb-3 text-warn">{w.studio.bindingTold(`${w.studio.axes[scene.binding.axis]} ≤ ${shown(scene.binding.axis, scene.binding.limit)}`)}</p>}
          </section>
          <section aria-label={w.studio.preference} className="rounded border border-line bg-paper p-4 space-y-2">
            <p className="flex flex-wrap justify-between gap-x-4"><span className="font-medium">{w.studio.preference}</span><span className="text-mute">{w.studio.preferenceTold}</span></p>
            <Prefer preference={draft.preference} onChange={setPreference} />
            <Strip candidates={everyone.filter((one) => scene.front.includes(one.id))} best={scene.best} chosen={chosen} onChoose={setChosen} onPoint={setPointed} />
          </section>
        </div>
        <section aria-label={w.studio.candidate} aria-live="polite" className="rounded border border-line bg-paper p-4 space-y-5 lg:col-start-2 xl:col-start-auto xl:sticky xl:top-5 xl:max-h-[calc(100dvh-88px)] xl:overflow-y-auto min-w-0" tabIndex={0}>
          {seen ? <CandidatePanel one={seen} baseline={baseline} report={report.data} best={seen.id === scene.best} against={seen.id === only ? against : []} job={job.data} limits={draft.limits} /> : <p className="text-mute">{w.studio.chooseCandidate}</p>}
        </section>
      </div>
    </Page>
  );
}

function Waiting({ job }: { job: Job | undefined }) {
  const models = useModels();
  if (job) return <p className="text-mute max-w-sm">{OVER.has(job.state) ? w.studio.nothingMeasured : w.studio.waiting}</p>;
  return <div className="space-y-3 max-w-md"><p className="text-lg font-semibold">{w.studio.empty.title}</p><p className="text-mute">{w.studio.empty.told}</p>{models.data?.items.length === 0 && <ButtonLink href="/models?upload=model">{w.models.upload}</ButtonLink>}</div>;
}

function AxisChoice({ label, value, onChange }: { label: string; value: Axis; onChange: (axis: string) => void }) {
  return (
    <label className="flex items-center gap-2 text-mute">{label}
      <select value={value} onChange={(e) => onChange(e.target.value)} className="h-7 rounded border border-line bg-paper px-1.5 text-ink">
        {AXES.map((axis) => <option key={axis} value={axis}>{w.studio.axes[axis]} ({FIGURES[axis].unit})</option>)}
      </select>
    </label>
  );
}

/** A link may name a job that is further back than the list goes. */
function withOne(list: Job[], job: Job | undefined): Job[] {
  return job && !list.some((one) => one.id === job.id) ? [job, ...list] : list;
}

function JobChoice({ id, list, cut, onChoose }: { id: string; list: Job[]; cut: boolean; onChoose: (id: string) => void }) {
  if (!list.length) return null;
  return (
    <select aria-label={w.studio.jobs} value={id} onChange={(e) => onChoose(e.target.value)} className="h-8 max-w-72 sm:max-w-96 rounded border border-line bg-paper px-2">
      <option value="new">{w.studio.newJob}</option>
      {id !== "new" && !list.some((one) => one.id === id) && <option value={id}>{id}</option>}
      {list.map((one) => <option key={one.id} value={one.id}>{one.wish.name || one.target}{one.wish.only && ` · ${one.wish.only.candidate}`} · {w.studio.states[one.state]} · {new Date(one.made).toLocaleString("en-GB", { dateStyle: "short", timeStyle: "short" })}</option>)}
      {cut && <option disabled>{w.newest(count(list.length))}</option>}
    </select>
  );
}

function Key({ final }: { final: boolean }) {
  const marks: [React.ReactNode, string][] = [
    [<circle key="f" cx="5" cy="5" r="4" fill="var(--accent)" />, final ? w.studio.frontFinal : w.studio.front],
    [<circle key="o" cx="5" cy="5" r="3.5" fill="var(--good)" opacity="0.7" />, w.studio.feasibleRegion],
    [<circle key="i" cx="5" cy="5" r="3.4" fill="none" stroke="var(--none)" strokeWidth="1.4" />, w.studio.infeasible],
    [<path key="r" d="m2 2 6 6m0-6-6 6" stroke="var(--none)" strokeWidth="1.6" />, w.studio.refusedWord],
    [<path key="b" d="M5 .5 9.500 5 5 9.500.500 5Z" fill="var(--ink)" />, w.studio.baseline],
  ];
  return <ul className="flex flex-wrap gap-x-4 gap-y-1 px-4 pb-3 text-sm text-mute">{marks.map(([mark, told]) => <li key={told} className="flex items-center gap-1.5"><svg width="10" height="10" viewBox="0 0 10 10" aria-hidden="true">{mark}</svg>{told}</li>)}</ul>;
}
