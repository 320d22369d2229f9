import { Link } from "wouter";
import type { Run } from "../../api/models";
import { When } from "../../ui/When";
import { w } from "../../words";
import { about, interval, metric, shown, verdict } from "../benchmarks/reading";

const SHOWN = ["latency_ms", "latency_p95_ms", "latency_p99_ms", "accuracy", "accuracy_drop", "ram_bytes", "size_bytes", "energy_mj"];

/** What one run measured of the versions that stand side by side; nothing is held against another run's figures. */
export function Seen({ run, than }: { run: Run; than: string }) {
  const names = SHOWN.filter((name) => run.seen.filter((one) => one?.metrics[name]).length > 1);
  const href = run.kind === "search" ? `/accelerator-studio?job=${run.id}` : `/benchmarks/${run.id}`;
  return (
    <>
      <tr>
        <th scope="rowgroup" colSpan={run.seen.length + 1} className="text-left px-4 pt-3 pb-1 font-normal text-mute">
          <Link href={href} className="text-ink font-medium underline decoration-line underline-offset-2 hover:decoration-accent">{w.models.runs[run.kind](run.place)}</Link> · <When at={run.made} />
        </th>
      </tr>
      {names.map((name) => (
        <tr key={name}>
          <th scope="row" className="text-left font-normal px-4 py-2 align-top">{metric(name)}</th>
          {run.seen.map((one, i) => {
            const figure = one?.metrics[name];
            const told = name === "latency_ms" && i > 0 && one?.ratio ? verdict(one.ratio, than) : null;
            return (
              <td key={i} title={figure && about(figure)}>
                {figure ? <span className={`num whitespace-nowrap ${figure.kind === "measured" ? "" : "italic"}`}>{shown(figure.value, figure.unit)}</span> : "–"}
                {figure && figure.kind !== "measured" && <span className="text-sm text-mute"> {w.kinds[figure.kind]}</span>}
                {figure && interval(figure) && <span className="num text-sm text-mute whitespace-nowrap max-md:block"> {interval(figure)}</span>}
                {told && <span className="block text-sm text-mute">{told.told}</span>}
              </td>
            );
          })}
        </tr>
      ))}
    </>
  );
}
