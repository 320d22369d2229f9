import { lazy, Suspense, useMemo } from "react";
import type { Measured, Result, Whole } from "../../api/benchmarks";
import { count, value } from "../../lib/format";
import { Bones } from "../../ui/Bones";
import { Part } from "../../ui/Panel";
import { w } from "../../words";
import { Table } from "../../ui/Table";
import { Figures } from "./Figures";
import { Letter } from "./Key";
import { fact, letter, there, where } from "./reading";
import type { Axis } from "./scale";

const Ecdf = lazy(() => import("./Ecdf"));
const words = w.benchmarks;
const MANY = 4;
const SHARES = [0, 5, 25, 50, 75, 90, 95, 99, 100];

/** All that is known of a place: the whole distribution, every figure with its kind, what is missing, notes, the machine. */
export function Detail({ place, result, subjects, axis }: { place: Measured; result: Result; subjects: Whole["subjects"]; axis: Axis }) {
  const key = JSON.stringify(result.subjects.map((one) => one.distribution_ms));
  // eslint-disable-next-line react-hooks/exhaustive-deps
  const series = useMemo(() => there(result).filter(({ one }) => one.distribution_ms.length > 1).map(({ one, at }) => ({ at, name: letter(at), quantiles: one.distribution_ms })), [key]);
  return (
    <div className="border-t border-line px-4 py-4 grid gap-x-8 gap-y-6 items-start grid-cols-1 xl:grid-cols-[minmax(0,1fr)_minmax(0,1fr)]">
      <div className={`space-y-6 min-w-0 ${subjects.length > MANY ? "xl:col-span-2" : ""}`}>
        {series.length > 0 && (
          <Part title={words.ecdf}>
            <div className="relative h-72">
              <Suspense fallback={<Bones rows={1} height={280} />}><Ecdf series={series} axis={axis} label={words.ecdfTold(where(place), series.length)} /></Suspense>
            </div>
            <details>
              <summary className="text-mute cursor-pointer">{words.asTable}</summary>
              <div className="pt-2">
                <Table label={words.asTable} head={[words.quantile, ...series.map((one) => `${one.name} (ms)`)]}>
                  {SHARES.map((share) => (
                    <tr key={share}>
                      <th scope="row" className="text-left font-normal text-mute px-4">{words.quantileOf(share)}</th>
                      {series.map((one) => <td key={one.name} className="num">{value(one.quantiles[Math.round((share / 100) * (one.quantiles.length - 1))] ?? NaN)}</td>)}
                    </tr>
                  ))}
                </Table>
              </div>
            </details>
          </Part>
        )}
        <Told result={result} />
      </div>
      <div className={`min-w-0 ${subjects.length > MANY ? "xl:col-span-2" : ""}`}>
        <Part title={words.figures}><Figures result={result} subjects={subjects} /></Part>
      </div>
      <div className="xl:col-span-2 min-w-0"><Part title={words.machine}><Machine machine={result.machine} /></Part></div>
    </div>
  );
}

/** Notes and what is missing: what holds for all is said once. */
function Told({ result }: { result: Result }) {
  const some = there(result);
  const gather = (of: (one: Result["subjects"][number]) => string[]) => {
    const found = new Map<string, number[]>();
    for (const { one, at } of some) for (const text of of(one)) found.set(text, [...(found.get(text) ?? []), at]);
    return [...found];
  };
  const notes = gather((one) => one.notes);
  const ran = gather((one) => [`${w.recipes.engines[one.engine] ?? one.engine}, ${words.rounds(count(one.rounds))}`]);
  const missing = gather((one) => Object.entries(one.missing).map(([name, why]) => `${w.recipes.metrics[name] ?? words.rest[name] ?? name.replaceAll("_", " ")}: ${why}`));
  return (
    <div className="space-y-6">
      {([[words.missing, missing], [words.notes, notes]] as const).map(([title, list]) => list.length > 0 && (
        <Part key={title} title={title}>
          <ul className="space-y-1">
            {list.map(([text, whose]) => (
              <li key={text} className="flex items-start gap-2 min-w-0">
                {whose.length < result.subjects.length && <span className="flex gap-1">{whose.map((at) => <Letter key={at} i={at} />)}</span>}<span className="[overflow-wrap:anywhere]">{text}</span>
              </li>
            ))}
          </ul>
        </Part>
      ))}
      <p className="text-mute">{ran.length === 1 ? ran[0]?.[0] : ran.map(([text, whose]) => `${whose.map(letter).join(", ")}: ${text}`).join(" · ")}</p>
    </div>
  );
}

function Machine({ machine }: { machine: Result["machine"] }) {
  const rows = Object.entries(machine);
  if (!rows.length) return <p className="text-mute">{words.noMachine}</p>;
  return (
    <dl className="grid gap-x-8 gap-y-2 grid-cols-2 md:grid-cols-3 xl:grid-cols-5">
      {rows.map(([name, told]) => (
        <div key={name} className="min-w-0"><dt className="text-sm text-mute">{words.facts[name] ?? name.replaceAll("_", " ")}</dt><dd className="[overflow-wrap:anywhere]">{fact(name, told)}</dd></div>
      ))}
    </dl>
  );
}
