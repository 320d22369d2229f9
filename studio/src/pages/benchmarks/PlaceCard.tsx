import { type Measured, open, type Whole } from "../../api/benchmarks";
import { Button } from "../../ui/Button";
import { Sign, Tag } from "../../ui/Sign";
import { w } from "../../words";
import { Detail } from "./Detail";
import { Coming, Lanes } from "./Lanes";
import { baseline, LEVEL, load, machine, there, where } from "./reading";
import type { Axis, Scale } from "./scale";

const words = w.benchmarks;
type Props = { place: Measured; subjects: Whole["subjects"]; axis: Axis; scale: Scale | null; on: boolean; onToggle: () => void };

/** A place: what it is and how busy it was, its subjects side by side, and all that is known when it is open. */
export function PlaceCard({ place, subjects, axis, scale, on, onToggle }: Props) {
  const name = where(place);
  const some = there(place.result);
  const first = baseline(place.result);
  const busy = place.result && load(place.result.machine);
  const reason = place.reason || (place.state === "done" ? "" : words.waitsFor[place.state] ?? "");
  return (
    <section aria-label={name} className="rounded border border-line bg-paper">
      <div className="flex flex-wrap items-center gap-x-4 gap-y-1 px-4 py-2.5">
        <h2 className="text-base [overflow-wrap:anywhere]">{name}</h2>
        <Tag level={LEVEL[place.state]}>{words.states[place.state]}</Tag>
        <span className="text-mute min-w-0 [overflow-wrap:anywhere]">{machine(place.result)}</span>
        {busy && <span className={`inline-flex items-center gap-1.5 ${busy.busy ? "" : "text-mute"}`} title={words.loadTold}>{busy.busy && <Sign level="attention" label="" />}{busy.told}</span>}
        {place.result && <span className="ml-auto"><Button kind="quiet" aria-expanded={on} aria-label={(on ? words.shutTold : words.openTold)(name)} onClick={onToggle}>{on ? words.shut : words.open}</Button></span>}
      </div>
      {reason && <p className={`px-4 pb-3 [overflow-wrap:anywhere] ${place.state === "failed" ? "text-bad" : "text-mute"}`}>{reason.charAt(0).toUpperCase() + reason.slice(1)}{/[.?]$/.test(reason) ? "" : "."}</p>}
      {first > 0 && <p className="px-4 pb-3 text-mute">{words.notBaseline(subjects[0]?.name ?? "", subjects[first]?.name ?? "")}</p>}
      {open(place) && !place.result && <Coming subjects={subjects} />}
      {place.result && place.result.subjects.length > 0 && <Lanes place={place} subjects={subjects} scale={scale} />}
      {on && place.result && some.length > 0 && <Detail place={place} result={place.result} subjects={subjects} axis={axis} />}
    </section>
  );
}
