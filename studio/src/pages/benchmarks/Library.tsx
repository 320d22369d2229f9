import { useState } from "react";
import type { Bundle } from "../../api/artifacts";
import { MOST_SUBJECTS } from "../../api/benchmarks";
import { takenBack, useRollouts } from "../../api/fleet";
import { useModels, useVersions } from "../../api/models";
import type { Model } from "../../api/studio";
import { bytes } from "../../lib/format";
import { Bones } from "../../ui/Bones";
import { Button } from "../../ui/Button";
import { Trouble } from "../../ui/Trouble";
import { When } from "../../ui/When";
import { w } from "../../words";
import { bundleName } from "./asking";

const words = w.benchmarks.ask;
const SHOWN = 8;
type Choosing = { chosen: string[]; onChange: (ids: string[]) => void };

/** Everything that can be measured, to be ticked. */
export function Library({ bundles, error, chosen, onChange }: { bundles: Bundle[] | undefined; error: Error | null } & Choosing) {
  const [text, setText] = useState("");
  const [many, setMany] = useState(SHOWN);
  const q = text.trim().toLowerCase();
  const models = useModels(text.trim());
  const bad = takenBack(useRollouts().data?.items ?? []);
  const found = (bundles ?? []).filter((one) => `${bundleName(one)} ${String(one.evidence.target ?? "")} ${one.digest}`.toLowerCase().includes(q));
  const ready = (models.data?.items ?? []).filter((one) => one.versions > 0);
  const choosing = { chosen, onChange };
  const nothing = bundles && models.data && !found.length && !ready.length;
  return (
    <fieldset className="border-t border-line p-4 space-y-4 min-w-0">
      <legend className="sr-only">{words.choose}</legend>
      <input type="search" value={text} onChange={(event) => setText(event.target.value)} onKeyDown={(event) => { if (event.key === "Enter") event.preventDefault(); }} placeholder={words.search} aria-label={words.search} className="h-8 w-full rounded border border-line bg-paper px-2.5 hover:border-mute" />
      {chosen.length >= MOST_SUBJECTS && <p className="text-mute">{words.full(MOST_SUBJECTS)}</p>}
      {Boolean(error ?? models.error) && <Trouble error={error ?? models.error} />}
      {(!bundles || !models.data) && !error && !models.error && <Bones rows={5} height={36} />}
      {nothing && <p className="text-mute">{q ? words.nothing(text.trim()) : w.benchmarks.noSubjects}</p>}
      {found.length > 0 && (
        <Group title={words.bundles}>
          {found.slice(0, many).map((one) => (
            <Tick key={one.digest} id={one.digest} name={bundleName(one)} more={[bad.has(one.digest) ? w.exports_.takenBack : "", one.released ? "" : words.hubOnly, String(one.evidence.target ?? ""), bytes(one.length)].filter(Boolean).join(" · ")} {...choosing}><When at={one.made} /></Tick>
          ))}
        </Group>
      )}
      {ready.length > 0 && <Group title={words.models}>{ready.slice(0, many).map((one) => <Versions key={one.id} model={one} {...choosing} />)}</Group>}
      {Math.max(found.length, ready.length) > many && <Button kind="quiet" onClick={() => setMany(many + 4 * SHOWN)}>{w.more}</Button>}
    </fieldset>
  );
}

function Group({ title, children }: { title: string; children: React.ReactNode }) {
  return <div><h3 className="text-sm text-mute font-medium mb-1">{title}</h3><ul className="space-y-px">{children}</ul></div>;
}

function Tick({ id, name, more, chosen, onChange, children }: { id: string; name: string; more: string; children: React.ReactNode } & Choosing) {
  const on = chosen.includes(id);
  return (
    <li>
      <label className={`flex items-center gap-3 rounded px-2 py-1.5 -mx-2 cursor-pointer hover:bg-line/30 ${on ? "bg-line/40" : ""}`}>
        <input type="checkbox" checked={on} disabled={!on && chosen.length >= MOST_SUBJECTS} onChange={() => onChange(on ? chosen.filter((one) => one !== id) : [...chosen, id])} />
        <span className="min-w-0 flex-1"><span className="font-medium [overflow-wrap:anywhere]">{name}</span><span className="block text-sm text-mute [overflow-wrap:anywhere]">{more}</span></span>
        <span className="text-sm text-mute">{children}</span>
      </label>
    </li>
  );
}

/** A model's newest version; the older ones when they are asked for. */
function Versions({ model, ...choosing }: { model: Model } & Choosing) {
  const [open, setOpen] = useState(false);
  const all = useVersions(open ? model.id : "");
  const newest = model.newest;
  const older = (all.data ?? []).filter((one) => one.id !== newest?.id && one.state === "ready").sort((a, b) => b.number - a.number);
  const more = (size: number) => [words.hubOnly, bytes(size)].join(" · ");
  return (
    <>
      {newest?.state === "ready" && <Tick id={newest.id} name={`${model.name} v${newest.number}`} more={more(newest.length)} {...choosing}><When at={newest.made} /></Tick>}
      {model.versions > 1 && (
        <li className="pl-6"><button type="button" aria-expanded={open} className="text-accent hover:underline text-sm" onClick={() => setOpen(!open)}>{open ? words.fewer : words.older(model.versions - 1)} <span className="sr-only">{words.olderOf(model.name)}</span></button></li>
      )}
      {open && all.isPending && <li><Bones rows={1} height={36} /></li>}
      {open && older.map((one) => <Tick key={one.id} id={one.id} name={`${model.name} v${one.number}`} more={more(one.length)} {...choosing}><When at={one.made} /></Tick>)}
    </>
  );
}
