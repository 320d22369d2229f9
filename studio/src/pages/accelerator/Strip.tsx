import type { Candidate } from "../../api/studio";
import { w } from "../../words";
import { figure, known, shown } from "./figures";

/** What changes no answer says nothing of what sets a candidate apart. */
const EXACT = new Set(["simplify", "fuse", "strip"]);

/** The front as a row of buttons: the plot for the keyboard. */
export function Strip({ candidates, best, chosen, onChoose, onPoint }: { candidates: Candidate[]; best: string; chosen: string; onChoose: (id: string) => void; onPoint: (id: string) => void }) {
  const sorted = [...candidates].sort((a, b) => (figure(a, "latency") ?? 0) - (figure(b, "latency") ?? 0));
  if (!sorted.length) return null;
  return (
    <ul className="relative flex gap-2 overflow-x-auto pb-1" aria-label={w.studio.front}>
      {sorted.map((one) => {
        const [ms, mb] = [figure(one, "latency"), figure(one, "size")];
        const kind = known([one], "latency");
        return (
          <li key={one.id}>
            <button
              type="button" aria-pressed={one.id === chosen} onClick={() => onChoose(one.id === chosen ? "" : one.id)} onFocus={() => onPoint(one.id)} onBlur={() => onPoint("")}
              className={`rounded border px-2.5 py-1 text-left whitespace-nowrap ${one.id === chosen ? "border-ink" : one.id === best ? "border-accent" : "border-line hover:border-mute"}`}
            >
              <span className="block num text-sm">{ms === null ? "–" : shown("latency", ms)}{kind !== "measured" && <i className="text-mute"> {w.kinds[kind]}</i>} · {mb === null ? "–" : shown("size", mb)}</span>
              <span className="block text-sm text-mute">{one.recipe.length ? one.recipe.filter((step) => !EXACT.has(step.pass)).map((step) => w.recipes.passes[step.pass] ?? step.pass).join(" + ") || w.studio.exact : w.recipes.original} <span className="num">{one.id.slice(0, 6)}</span></span>
            </button>
          </li>
        );
      })}
    </ul>
  );
}
