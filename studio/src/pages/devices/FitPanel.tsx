import type { Fit } from "../../api/profiles";
import type { Model } from "../../api/studio";
import { ButtonLink } from "../../ui/Button";
import { Facts, Panel, Part } from "../../ui/Panel";
import { Tag } from "../../ui/Sign";
import { w } from "../../words";
import { fullest, LEVEL, ms, percent, predicted } from "./verdicts";

const words = w.devices;
type Choice = { value: string; reason: string; source?: string; verdict?: string; latency?: unknown };
type Step = { step: { pass: string }; reason: string };

/** One model on one device: the verdict, why, what would help, and how to begin. */
export function FitPanel({ model, fit, target, onClose }: { model: Model; fit: Fit; target: string; onClose: () => void }) {
  const latency = predicted(fit.latency);
  const engine = fit.engine as Choice;
  const [what, part] = fullest(fit);
  const numbers = (fit.number_types as unknown as Choice[]).filter((one) => one.verdict === "try" || one.verdict === undefined);
  const warm = latency?.conditions.sustained_ms;
  return (
    <Panel title={`${model.name} · ${fit.title}`} above={<Tag level={LEVEL[fit.verdict]}>{words.verdicts[fit.verdict]}</Tag>} onClose={onClose}>
      <div className="space-y-1">
        <ButtonLink kind="primary" href={`/accelerator-studio?job=new&version=${model.newest?.id ?? ""}&target=${encodeURIComponent(target)}`}>{words.optimize}</ButtonLink>
        <p className="text-sm text-mute">{words.optimizeTold}</p>
      </div>
      {fit.problems.length > 0 && <Part title={words.why}><List texts={fit.problems} /></Part>}
      {fit.verdict === "tight" && <Part title={words.tightWhy}><p>{words.tightTold(percent(part), words.shareOf[what] ?? what)}</p></Part>}
      {fit.remedies.length > 0 && <Part title={words.remedies}><List texts={fit.remedies} /></Part>}
      <Part title={words.shares}>
        {Object.entries(fit.shares).map(([name, one]) => <Share key={name} name={name} part={one} />)}
      </Part>
      {latency && (
        <Part title={words.latency}>
          <p><span className="num text-lg">{ms(latency.value)}</span> <span className="text-mute">{words.predicted}{latency.low !== null && latency.high !== null && <span className="num">, {ms(latency.low)} – {ms(latency.high)}</span>}</span></p>
          <p className="text-sm text-mute">{words.latencyTold}</p>
          <Facts rows={[
            ...(typeof warm === "number" && warm !== latency.value ? [[words.sustained, <span key="w" className="num">{ms(warm)}</span>] as [string, React.ReactNode]] : []),
            ...(latency.conditions.bound_by ? [[words.bound, String(latency.conditions.bound_by)] as [string, React.ReactNode]] : []),
          ]} />
        </Part>
      )}
      <Part title={words.first}>
        <dl className="space-y-3">
          <Try name={words.engine} one={engine} more={fit.also.length ? `${words.also} ${fit.also.join(", ")}` : ""} />
          {numbers.slice(0, 3).map((one) => <Try key={one.value} name={words.number} one={one} />)}
          {typeof (fit.framework as Choice).value === "string" && <Try name={words.framework} one={fit.framework as Choice} />}
        </dl>
      </Part>
      {fit.recipe.length > 0 && (
        <Part title={words.recipe}>
          <ol className="space-y-2 list-decimal pl-5 marker:text-mute">
            {(fit.recipe as unknown as Step[]).map((one, i) => <li key={i}><span className="num">{one.step.pass}</span><span className="block text-sm text-mute">{one.reason}</span></li>)}
          </ol>
        </Part>
      )}
    </Panel>
  );
}

function List({ texts }: { texts: string[] }) {
  return <ul className="space-y-1.5">{texts.map((one) => <li key={one}>{one.charAt(0).toUpperCase() + one.slice(1)}{/[.?]$/.test(one) ? "" : "."}</li>)}</ul>;
}

function Share({ name, part }: { name: string; part: number }) {
  const colour = part > 1 ? "var(--bad)" : part > 0.7 ? "var(--warn)" : "var(--accent)";
  return (
    <div>
      <p className="flex justify-between"><span>{percent(part)} {words.shareOf[name] ?? name}</span>{part > 1 && <span className="text-bad">{words.sharesOver}</span>}</p>
      <svg width="100%" height="6" viewBox="0 0 100 6" preserveAspectRatio="none" aria-hidden="true" className="rounded-sm bg-line"><rect width={Math.max(0.5, Math.min(100, 100 * part))} height="6" fill={colour} /></svg>
    </div>
  );
}

function Try({ name, one, more = "" }: { name: string; one: Choice; more?: string }) {
  const latency = predicted(one.latency);
  return (
    <div>
      <dt className="text-sm text-mute">{name}</dt>
      <dd><span className="font-medium">{one.value}</span> {more && <span className="text-mute">{more}</span>}{latency && <span className="num text-mute"> ≈ {ms(latency.value)} {words.predicted}</span>}<span className="block text-sm text-mute" title={one.source}>{one.reason}</span></dd>
    </div>
  );
}
