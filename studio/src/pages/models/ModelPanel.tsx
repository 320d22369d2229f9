import { Link } from "wouter";
import { useMay } from "../../api/account";
import { useModel, useVersions } from "../../api/models";
import type { Version } from "../../api/studio";
import { bytes, count, short, value } from "../../lib/format";
import { useParam } from "../../lib/url";
import { Bones } from "../../ui/Bones";
import { Button, ButtonLink } from "../../ui/Button";
import { Facts, Panel, Part } from "../../ui/Panel";
import { Tag } from "../../ui/Sign";
import { Spark } from "../../ui/Spark";
import { Trouble } from "../../ui/Trouble";
import { When } from "../../ui/When";
import { w } from "../../words";
import { ModelCare } from "./Care";
import { Found } from "./Found";
import { Layers } from "./Layers";
import { Sealed } from "./Sealed";
import { fact, READY, STAGE } from "./stages";

/** One model: its versions as they came out of one another, and all that is known of the one that is open. */
export function ModelPanel({ id, compare, onCompare, onUpload, onClose }: { id: string; compare: string[]; onCompare: (of: string[]) => void; onUpload: () => void; onClose: () => void }) {
  const [open, setOpen] = useParam("version");
  const versions = useVersions(id);
  const may = useMay();
  const model = useModel(id).data;
  const list = [...(versions.data ?? [])].sort((a, b) => b.number - a.number);
  const seen = list.find((one) => one.id === open) ?? list[0];
  const toggle = (one: string) => onCompare(compare.includes(one) ? compare.filter((it) => it !== one) : [...compare, one].slice(-8));
  return (
    <Panel title={model?.name ?? ""} above={model?.description || undefined} onClose={onClose}>
      {versions.error && <Trouble error={versions.error} again={() => void versions.refetch()} />}
      {versions.isPending && <Bones rows={4} />}
      <Part title={w.models.versions} action={may("models.write") && <Button kind="quiet" onClick={onUpload}>{w.models.uploadVersion}</Button>}>
        {list.length > 1 && <Spark label={w.models.columns.size} values={[...list].reverse().map((one) => one.length)} width={358} height={32} />}
        <ul className="divide-y divide-line">
          {list.map((one) => (
            <li key={one.id} className={`py-2 flex items-start gap-2.5 ${one.id === seen?.id ? "" : "text-mute"}`}>
              <input type="checkbox" aria-label={`${w.models.compareWord} ${w.models.version(one.number)}`} checked={compare.includes(one.id)} onChange={() => toggle(one.id)} className="mt-1" />
              <button type="button" aria-current={one.id === seen?.id} onClick={() => setOpen(one.id)} className="flex-1 min-w-0 text-left">
                <span className="flex justify-between gap-2"><span className="font-medium text-ink">{w.models.version(one.number)}</span><span className="num">{bytes(one.length)}</span></span>
                <span className="flex justify-between gap-2 text-sm"><Tag level={one.state === "ready" ? STAGE[one.stage] : READY[one.state]}>{one.state === "ready" ? w.models.stages[one.stage] : w.models.states[one.state]}</Tag><When at={one.made} /></span>
                {one.parent && <span className="block text-sm">{w.models.lineage} {of(list, one.parent)}</span>}
              </button>
            </li>
          ))}
        </ul>
        {compare.length > 1 && <div className="xl:hidden"><Button onClick={onClose}>{w.models.compare(compare.length)}</Button></div>}
      </Part>
      {seen && <Whole one={seen} list={list} />}
      {model && <ModelCare model={model} version={seen} onGone={onClose} />}
    </Panel>
  );
}

function of(list: Version[], id: string): string {
  const found = list.find((one) => one.id === id);
  return found ? w.models.version(found.number) : short(id);
}

function Whole({ one, list }: { one: Version; list: Version[] }) {
  const may = useMay();
  const usable = one.state === "ready" && one.stage !== "retired";
  const figures = ["parameters", "macs", "weight_bytes", "peak_activation_bytes"].flatMap((name): [string, React.ReactNode][] => {
    const n = fact(one, name);
    return n === null ? [] : [[w.models.facts[name] ?? name, <span key={name} className="num">{name.endsWith("bytes") ? bytes(n) : name === "macs" && n >= 1e6 ? `${value(n / 1e6)} M` : count(n)}</span>]];
  });
  return (
    <>
      {one.reason && <p className="text-bad">{one.reason}</p>}
      <div className="flex flex-wrap gap-2">
        {usable && <ButtonLink kind="primary" href={`/accelerator-studio?job=new&version=${one.id}`}>{w.models.optimize}</ButtonLink>}
        {usable && may("benchmarks.write") && <ButtonLink href={`/benchmarks?new=1&subject=${one.id}`}>{w.benchmarks.word}</ButtonLink>}
        {one.state === "ready" && <a className="inline-flex items-center h-8 px-3 rounded border border-line font-medium hover:border-mute" href={`/api/edge/versions/${one.id}/download`} download={one.filename}>{w.models.download}</a>}
      </div>
      {one.job && <Found job={one.job} />}
      <Facts rows={[
        [w.models.facts.format ?? "", one.format || "–"], [w.models.facts.length ?? "", <span key="l" className="break-all">{one.filename} · <span className="num">{bytes(one.length)}</span></span>],
        [w.models.lineage, one.parent ? of(list, one.parent) : w.models.imported],
        ...(one.job ? [[w.models.foundBy, <Link key="j" href={`/accelerator-studio?job=${one.job}`} className="text-accent hover:underline">{w.models.foundByJob}</Link>] as [string, React.ReactNode]] : []), ...figures,
        [w.models.facts.digest ?? "", <span key="d" className="num" title={one.digest}>{short(one.digest) || "–"}</span>],
      ]} />
      {one.signature && (one.signature.inputs?.length ?? 0) > 0 && (
        <Part title={w.models.signature}>
          <ul className="num text-sm space-y-0.5">
            {one.signature.inputs.map((t) => <li key={`i${t.name}`}>→ {t.name} <span className="text-mute">{t.dtype} [{t.shape.map((d) => d ?? "?").join(", ")}]</span></li>)}
            {one.signature.outputs.map((t) => <li key={`o${t.name}`}>← {t.name} <span className="text-mute">{t.dtype} [{t.shape.map((d) => d ?? "?").join(", ")}]</span></li>)}
          </ul>
        </Part>
      )}
      {one.state === "ready" && <Sealed digest={one.digest} />}
      {one.state === "ready" && <Layers version={one.id} />}
    </>
  );
}
