import type { Measured, Whole } from "../../api/benchmarks";
import { w } from "../../words";
import { Letter } from "./Key";
import { baseline, letter, there, type Verdict, verdict } from "./reading";

const words = w.benchmarks;
const NAMED = 3;

/** For each subject, where it is faster, where slower, where nothing can be told. Places are counted, never averaged. */
export function InShort({ subjects, places }: { subjects: Whole["subjects"]; places: Measured[] }) {
  const rows = subjects.flatMap((subject, at) => {
    const found: Record<Verdict["word"], string[]> = { faster: [], slower: [], same: [] };
    for (const place of places) {
      const one = there(place.result).find((it) => it.at === at)?.one;
      if (!one || baseline(place.result) !== 0) continue;
      const told = at > 0 ? verdict(one.ratio, letter(0)) : null;
      if (told) found[told.word].push(place.kind === "hub" ? words.theHub : place.name);
    }
    const said = [
      found.faster.length ? words.fasterAt(counted(found.faster)) : "", found.slower.length ? words.slowerAt(counted(found.slower)) : "", found.same.length ? words.sameAt(counted(found.same)) : "",
    ].filter(Boolean);
    return said.length ? [{ at, name: subject.name, told: said.join("; ") }] : [];
  });
  return (
    <section aria-label={words.inShort} className="rounded border border-line bg-paper px-4 py-3 space-y-2">
      {rows.length > 0 && (
        <ul className="space-y-1.5">
          {rows.map((one) => (
            <li key={one.at} className="flex items-start gap-2"><Letter i={one.at} /><span className="min-w-0 [overflow-wrap:anywhere]"><span className="font-medium">{one.name}</span> <span className="text-mute">{words.against(letter(0))}:</span> {one.told}.</span></li>
          ))}
        </ul>
      )}
      <p className="text-mute">{words.compares}</p>
    </section>
  );
}

function counted(names: string[]): string {
  return names.length > NAMED ? words.placesCount(names.length) : names.join(", ");
}
