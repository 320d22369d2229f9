import { w } from "../../words";
import type { Draft } from "./draft";

/** Weights of what matters: the choice on the front follows at once. */
export function Prefer({ preference, onChange }: { preference: Draft["preference"]; onChange: (next: Draft["preference"]) => void }) {
  return (
    <div className="grid grid-cols-2 md:grid-cols-4 gap-x-5 gap-y-1" role="group" aria-label={w.studio.preference}>
      {(Object.keys(w.studio.preferences) as (keyof Draft["preference"])[]).map((name) => (
        <label key={name} className="block">
          <span className="flex justify-between text-sm"><span>{w.studio.preferences[name]}</span><span className="num text-mute">{preference[name].toFixed(1)}</span></span>
          <input type="range" min={0} max={2} step={0.1} value={preference[name]} onChange={(e) => onChange({ ...preference, [name]: Number(e.target.value) })} className="w-full" />
        </label>
      ))}
    </div>
  );
}
