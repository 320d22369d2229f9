import type { Figure, Named, Profile } from "../../api/profiles";
import { Button } from "../../ui/Button";
import { Panel, Part } from "../../ui/Panel";
import { When } from "../../ui/When";
import { w } from "../../words";
import { figure } from "./verdicts";

const words = w.devices;

/** A device's facts, each with where it is from. */
export function ProfilePanel({ one, allowed, onRemove, onClose }: { one: Profile; allowed: boolean; onRemove: (one: Profile) => void; onClose: () => void }) {
  const target = one.target;
  const groups: [string, Record<string, Figure> | undefined][] = [
    ["figures", target.figures], ["compute", target.compute], ["caches", target.caches], ["energy", target.energy],
  ];
  const named: [string, Named | undefined][] = [[words.engines, target.engines], [words.numberTypes, target.number_types], [words.isa, target.isa]];
  return (
    <Panel title={one.title} above={<><span className="num">{one.name}</span> · {origin(one)}{one.changed && <> · <When at={one.changed} /></>}</>} onClose={onClose}>
      <p className="text-mute">{words.factsTold}</p>
      {groups.map(([group, figures]) => figures && Object.keys(figures).length > 0 && (
        <Part key={group} title={words.groups[group] ?? group}>
          <dl className="space-y-2">
            {Object.entries(figures).map(([name, it]) => (
              <div key={name} className="grid grid-cols-[1fr_auto] gap-x-3">
                <dt>{words.figures[name] ?? name.replaceAll("_", " ")}</dt><dd className="num">{figure(it)}</dd>
                <dd className="col-span-2 text-sm text-mute break-words">{it.source}</dd>
              </div>
            ))}
          </dl>
        </Part>
      ))}
      {named.map(([name, it]) => it && it.names.length > 0 && (
        <Part key={name} title={name}><p className="num">{it.names.join(" ")}</p><p className="text-sm text-mute break-words">{it.source}</p></Part>
      ))}
      {target.notes && target.notes.length > 0 && <Part title={words.notes}>{target.notes.map((note) => <p key={note} className="text-mute">{note}</p>)}</Part>}
      {one.id && allowed && <Button kind="danger" onClick={() => onRemove(one)}>{words.remove}</Button>}
    </Panel>
  );
}

export function origin(one: Profile): string {
  return words.origin[one.origin] ?? one.origin;
}
