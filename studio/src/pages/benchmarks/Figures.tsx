import type { Figure, Result, Whole } from "../../api/benchmarks";
import { value } from "../../lib/format";
import { w } from "../../words";
import { Letter } from "./Key";
import { about, baseline, interval, metric, names, shown } from "./reading";

const words = w.benchmarks;
const COMPARED = new Set(["ram_bytes", "size_bytes", "download_bytes", "energy_mj"]);

/** Every figure of every subject, side by side, with interval and kind. What is estimated is never held against what was measured. */
export function Figures({ result, subjects }: { result: Result; subjects: Whole["subjects"] }) {
  const first = result.subjects[baseline(result)];
  return (
    <div className="relative overflow-x-auto goes-on" tabIndex={0} role="region" aria-label={words.figures}>
      <table className="w-full">
        <thead>
          <tr className="text-sm text-mute">
            <th scope="col" className="text-left font-medium pr-2 sm:pr-4 h-7">{words.figure}</th>
            {result.subjects.map((one, i) => <th key={one.subject} scope="col" title={subjects[i]?.name} className="font-medium pl-2 sm:pl-4"><span className="flex justify-end"><Letter i={i} /><span className="sr-only">{subjects[i]?.name}</span></span></th>)}
          </tr>
        </thead>
        <tbody className="[&>tr]:border-t [&>tr]:border-line">
          {names(result).map((name) => {
            const all = result.subjects.map((one) => one.metrics[name]);
            const kinds = new Set(all.flatMap((one) => one?.kind ?? []));
            return (
              <tr key={name} className="align-baseline">
                <th scope="row" className="text-left font-normal text-mute py-1 pr-2 sm:pr-4">
                  {metric(name)}{kinds.size === 1 && (name === "energy_mj" || !kinds.has("measured")) && <span className={`block text-sm ${kinds.has("measured") ? "" : "italic"}`}>{w.kinds[[...kinds][0] as Figure["kind"]]}</span>}
                  {kinds.size > 1 && <span className="block text-sm">{words.kindsDiffer}</span>}
                </th>
                {result.subjects.map((one, i) => <Cell key={one.subject} one={all[i]} why={one.missing[name] ?? one.why} mixed={kinds.size > 1} base={COMPARED.has(name) && one !== first ? first?.metrics[name] : undefined} />)}
              </tr>
            );
          })}
        </tbody>
      </table>
    </div>
  );
}

function Cell({ one, why, mixed, base }: { one: Figure | undefined; why: string; mixed: boolean; base: Figure | undefined }) {
  if (!one) return <td className="text-right pl-2 sm:pl-4 text-mute" title={why || words.notMeasured}>–<span className="sr-only">{why || words.notMeasured}</span></td>;
  return (
    <td className="text-right pl-2 sm:pl-4 py-1 whitespace-nowrap" title={about(one)}>
      <span className={`num ${one.kind === "measured" ? "" : "italic"}`}>{shown(one.value, one.unit)}</span>
      {mixed && <span className="text-sm text-mute"> {w.kinds[one.kind]}</span>}
      <span className="num text-sm text-mute block">{interval(one)}</span>
      {base && <span className="text-sm text-mute block">{held(one, base)}</span>}
    </td>
  );
}

/** Against the baseline's, where both are of one kind. Intervals that overlap tell nothing. */
function held(one: Figure, base: Figure): string {
  if (one.kind !== base.kind || !(one.value > 0) || !(base.value > 0)) return "";
  const apart = (one.low ?? one.value) > (base.high ?? base.value) || (one.high ?? one.value) < (base.low ?? base.value);
  const times = base.value / one.value;
  if (!apart || Math.abs(Math.log(times)) < 0.02) return "";
  return times > 1 ? words.smaller(value(times)) : words.larger(value(1 / times));
}
