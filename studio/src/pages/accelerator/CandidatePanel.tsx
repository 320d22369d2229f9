import type { Candidate, Clause, Job, Limits, Report } from "../../api/studio";
import { value } from "../../lib/format";
import { Copy } from "../../ui/Copy";
import { Part } from "../../ui/Panel";
import { Sign, Tag } from "../../ui/Sign";
import { w } from "../../words";
import { Metrics } from "./Metrics";
import { Take } from "./Take";
import { ratio, Wins } from "./Wins";

/** A candidate in plain words: what was done to the model, what that won and cost, which limits it keeps; `against`: why its search refused it. */
export function CandidatePanel({ one, baseline, report, best, against, job, limits }: { one: Candidate; baseline: Candidate | null; report: Report | undefined; best: boolean; against: string[]; job: Job | undefined; limits: Limits }) {
  const [memory, drop] = [ratio(one, baseline, "ram_bytes"), one.metrics.accuracy_drop];
  const title = one.recipe.map((step) => w.recipes.passes[step.pass] ?? step.pass).join(" + ") || w.recipes.original;
  const gates = report?.readiness?.candidate === one.id ? report.readiness.gates : [];
  return (
    <>
      <div>
        {best && <p className="text-sm text-accent font-medium">{w.studio.best}</p>}
        <h2 className="text-lg leading-6">{title}</h2>
        <p className="text-mute">{w.recipes.engines[one.engine] ?? one.engine} · <span className="num">{one.id}</span></p>
      </div>
      <Wins one={one} baseline={baseline} />
      {job && <Take job={job} one={one} limits={limits} />}
      {against.map((why) => <p key={why} className="flex gap-2"><span className="h-5 flex items-center"><Sign level="attention" /></span><span>{w.studio.heldAgainst(why)}</span></p>)}
      {one.refused?.map((why) => <p key={why} className="flex gap-2"><span className="h-5 flex items-center"><Sign level="bad" label={w.studio.refused} /></span><span>{w.studio.refused}: {why}</span></p>)}
      {one.doubts?.map((why) => <p key={why} className="flex gap-2"><span className="h-5 flex items-center"><Sign level="attention" /></span><span>{why}</span></p>)}
      {memory !== null && memory < 0.75 && <p className="flex gap-2"><span className="h-5 flex items-center"><Sign level="attention" /></span><span>{w.studio.moreMemory(value(1 / memory))}</span></p>}
      <Metrics one={one} baseline={baseline} />
      {report && !one.final && one.id !== baseline?.id && drop && <p className="text-sm text-mute">{w.studio.searched}</p>}
      {one.verdict && one.verdict.length > 0 && <Part title={w.studio.clauses}><ul className="space-y-1">{one.verdict.map((clause) => <Kept key={clause.metric} clause={clause} />)}</ul></Part>}
      {one.recipe.length > 0 && (
        <Part title={w.studio.recipe}>
          <ol className="space-y-1.5">
            {one.recipe.map((step, i) => (
              <li key={i}><span className="font-medium">{w.recipes.passes[step.pass] ?? step.pass}</span> <span className="text-mute">{w.recipes.does[step.pass]}{details(step)}</span></li>
            ))}
          </ol>
        </Part>
      )}
      <Layers report={report} id={one.id} />
      {gates.length > 0 && (
        <Part title={w.studio.gates}>
          <ul className="space-y-1.5">
            {gates.map((gate) => (
              <li key={gate.name} title={gate.reason} className="flex gap-2"><span className="h-5 flex items-center"><Sign level={gate.state === "passed" ? "good" : gate.state === "failed" ? "bad" : "unknown"} /></span><span className="min-w-0">{gate.title}<span className="block text-sm text-mute line-clamp-2">{gate.reason}</span></span></li>
            ))}
          </ul>
        </Part>
      )}
      {report?.reproduce && report.best === one.id && <Part title={w.studio.command}><Copy text={report.reproduce} /></Part>}
    </>
  );
}

function Kept({ clause }: { clause: Clause }) {
  const big = clause.unit === "B";
  const told = (n: number) => (big ? `${value(n / 1e6)} MB` : `${value(n)} ${clause.unit}`);
  return (
    <li className="flex justify-between gap-3">
      <Tag level={clause.kept ? "good" : "bad"}>{w.recipes.metrics[clause.metric] ?? clause.metric}</Tag>
      <span className="num">{clause.value === null ? "–" : told(clause.value)} <span className="text-mute">({w.studio.limitOf(told(clause.limit))})</span></span>
    </li>
  );
}

function details(step: Record<string, unknown>): string {
  const rest = Object.entries(step).filter(([name, told]) => name !== "pass" && (typeof told === "number" || typeof told === "string"));
  return rest.length ? ` (${rest.map(([name, told]) => `${name.replaceAll("_", " ")} ${String(told)}`).join(", ")})` : "";
}

function Layers({ report, id }: { report: Report | undefined; id: string }) {
  const found = report?.profiles?.[id]?.slowest?.slice(0, 8);
  if (!found?.length) return null;
  const most = Math.max(...found.map((one) => one.share));
  return (
    <Part title={w.studio.layerTimes}>
      <ul className="space-y-1">
        {found.map((one) => (
          <li key={one.name} title={`${one.name}: ${value(one.ms)} ms`} className="grid grid-cols-[1fr_110px_44px] gap-2 items-center">
            <span className="truncate text-sm">{one.op_type} <span className="text-mute">{one.name}</span></span>
            <span className="h-2 bg-line/60 rounded-sm overflow-hidden"><span className="block h-full bg-accent/70" style={{ width: `${(100 * one.share) / most}%` }} /></span>
            <span className="num text-sm text-right">{value(100 * one.share)}%</span>
          </li>
        ))}
      </ul>
    </Part>
  );
}
