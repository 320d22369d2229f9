import { Icon } from "../../ui/Icon";
import { Sign, Tag } from "../../ui/Sign";
import { w } from "../../words";
import type { Chosen } from "./asking";
import { Letter } from "./Key";

const words = w.benchmarks.ask;
const ROUND = "size-8 grid place-items-center rounded text-mute hover:text-ink hover:bg-line/50 disabled:opacity-30";

/** What was chosen, in its order: the first is the baseline. `devices`: some of it is to run on devices. */
export function Subjects({ list, devices, onChange }: { list: Chosen[]; devices: boolean; onChange: (ids: string[]) => void }) {
  const ids = list.map((one) => one.id);
  const swap = (i: number, k: number) => onChange(ids.map((id, at) => (at === i ? (ids[k] as string) : at === k ? (ids[i] as string) : id)));
  if (!list.length) return <p className="px-4 py-3 text-mute">{words.none}</p>;
  return (
    <ol className="divide-y divide-line">
      {list.map((one, i) => (
        <li key={one.id} className="px-4 py-2 flex items-center gap-3">
          <Letter i={i} />
          <span className="min-w-0 flex-1">
            <span className="font-medium [overflow-wrap:anywhere]">{one.name}</span>
            {i === 0 && <span className="text-mute"> · {w.benchmarks.baseline}</span>}
            <span className="block text-sm text-mute">
              {one.trouble ? <Tag level="bad">{one.trouble}</Tag> : !one.anywhere ? <span className="inline-flex items-center gap-1.5" title={one.kind === "version" ? words.hubOnlyVersion : words.hubOnlyBundle}>{devices && <Sign level="attention" label="" />}{words.hubOnly}</span> : words.everywhere}
            </span>
          </span>
          <span className="flex">
            <button type="button" className={ROUND} disabled={i === 0} aria-label={i === 1 ? words.first(one.name) : words.up(one.name)} title={i === 1 ? words.first(one.name) : words.up(one.name)} onClick={() => swap(i, i - 1)}><span className="-rotate-180"><Icon name="down" /></span></button>
            <button type="button" className={ROUND} disabled={i === list.length - 1} aria-label={words.down(one.name)} title={words.down(one.name)} onClick={() => swap(i, i + 1)}><Icon name="down" /></button>
            <button type="button" className={ROUND} aria-label={words.takeOut(one.name)} title={words.takeOut(one.name)} onClick={() => onChange(ids.filter((id) => id !== one.id))}><Icon name="close" /></button>
          </span>
        </li>
      ))}
    </ol>
  );
}
