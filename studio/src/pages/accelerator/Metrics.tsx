import type { Candidate, Measured } from "../../api/studio";
import { value } from "../../lib/format";
import { w } from "../../words";

const SHOWN = ["latency_ms", "latency_p95_ms", "latency_p99_ms", "size_bytes", "ram_bytes", "accuracy", "accuracy_drop", "energy_mj", "throughput_per_s"];

/** Figures with interval, number of readings and kind: nothing predicted looks like something measured. */
export function Metrics({ one, baseline }: { one: Candidate; baseline: Candidate | null }) {
  const rows = SHOWN.filter((name) => one.metrics[name] && (name !== "accuracy_drop" || one.id !== baseline?.id));
  return (
    <table className="w-full">
      <thead className="sr-only"><tr><th scope="col">{w.fleet.gate.metric}</th><th scope="col">{w.studio.candidate}</th><th scope="col">{w.studio.baseline}</th></tr></thead>
      <tbody>
        {rows.map((name) => {
          const mine = one.metrics[name] as Measured;
          // Of other samples: what was lost is told by pairs of the same ones, in a row of its own.
          const apart = name === "accuracy" && baseline?.metrics[name]?.n !== mine.n;
          const theirs = baseline?.id === one.id || apart ? undefined : baseline?.metrics[name];
          return (
            <tr key={name} className="align-baseline" title={about(mine)}>
              <th scope="row" className="text-left font-normal text-mute py-0.5 pr-2">{w.recipes.metrics[name] ?? name}</th>
              <td className="text-right whitespace-nowrap">
                <span className={`num ${mine.kind === "measured" ? "" : "italic"}`}>{told(mine)}</span>
                {mine.kind !== "measured" && <span className="text-sm text-mute"> {w.kinds[mine.kind]}</span>}
                {mine.kind !== "measured" && name === "ram_bytes" && typeof mine.conditions.how === "string" && <span className="text-sm text-mute block whitespace-normal max-w-48 ml-auto">{mine.conditions.how}</span>}
                {spread(mine) && <span className="num text-sm text-mute block">{spread(mine)}</span>}
              </td>
              <td className={`num text-right text-mute pl-3 whitespace-nowrap ${theirs && theirs.kind !== "measured" ? "italic" : ""}`} title={theirs && about(theirs)}>{theirs ? told(theirs) : ""}</td>
            </tr>
          );
        })}
      </tbody>
    </table>
  );
}

function scaled(n: number, unit: string): string {
  return unit === "B" ? value(n / 1e6) : value(n);
}

function told(one: Measured): string {
  return `${scaled(one.value, one.unit)} ${one.unit === "B" ? "MB" : one.unit === "points" ? "pt" : one.unit}`;
}

function spread(one: Measured): string {
  if (one.low === null || one.high === null || one.low === one.high) return "";
  return `${scaled(one.low, one.unit)} – ${scaled(one.high, one.unit)}`;
}

function about(one: Measured): string {
  const conditions = Object.entries(one.conditions).filter(([, v]) => typeof v !== "object").slice(0, 8).map(([name, v]) => `${name.replaceAll("_", " ")} ${String(v)}`);
  return [`${w.kinds[one.kind]}, n ${one.n}`, ...conditions].join("\n");
}
