import type { Artifact, Bundle, Kind } from "../../api/artifacts";
import { Tag } from "../../ui/Sign";
import { w } from "../../words";
import { command, grouped, newest, sentence } from "./making";
import { Make } from "./Make";
import { Size } from "./Size";
import { Take } from "./Take";

const words = w.exports_;
type Props = {
  kinds: Kind[]; bundle: Bundle; job: string; list: Artifact[]; chosen: string; building: Record<string, number>; allowed: boolean;
  onChoose: (kind: string) => void; onBuild: (kind: Kind) => void;
};

/** What can be made of a bundle, by what people want it for. */
export function Kinds({ kinds, bundle, job, list, chosen, building, allowed, onChoose, onBuild }: Props) {
  return (
    <div className="space-y-5">
      {grouped(kinds.filter((one) => one.of !== "job" || job !== "")).map(([group, some]) => (
        <section key={group} aria-labelledby={`group-${group}`}>
          <h2 id={`group-${group}`} className="text-sm text-mute font-medium mb-2">{words.groups[group]}</h2>
          <ul className="rounded border border-line bg-paper divide-y divide-line">
            {some.map((one) => {
              const artifact = newest(list, one, bundle.digest, job);
              return (
                <li key={one.kind} className={`px-4 py-2.5 grid gap-x-4 gap-y-2 items-center grid-cols-[minmax(0,1fr)_auto] lg:grid-cols-[minmax(0,1fr)_140px_168px_172px] ${one.kind === chosen ? "bg-line/40" : "hover:bg-line/20"}`}>
                  <button type="button" aria-expanded={one.kind === chosen} onClick={() => onChoose(one.kind === chosen ? "" : one.kind)} className="text-left min-w-0 group">
                    <span className="font-medium num">{one.kind}</span>
                    <span className="block text-mute group-hover:text-ink">{sentence(one.title)}</span>
                  </button>
                  <span className="order-last lg:order-none"><Tag level={one.verified ? "good" : "unknown"}>{one.verified ? words.verified : words.unverified}</Tag></span>
                  <span className="order-last lg:order-none text-right lg:text-left"><Size kind={one} bundle={bundle} artifact={artifact} /></span>
                  <span className="flex items-center justify-end gap-1">
                    <Take text={command(one, bundle)} label={`${words.copyCommand}: ${one.kind}`} />
                    <Make kind={one} bundle={bundle} artifact={artifact} since={building[one.kind] ?? 0} allowed={allowed} onBuild={onBuild} />
                  </span>
                </li>
              );
            })}
          </ul>
        </section>
      ))}
    </div>
  );
}
