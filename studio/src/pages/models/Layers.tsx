import { useState } from "react";
import { useMay } from "../../api/account";
import { measuring, useGraph, useProfile } from "../../api/models";
import { bytes, count, share, si } from "../../lib/format";
import { useParam } from "../../lib/url";
import { Bones } from "../../ui/Bones";
import { Button } from "../../ui/Button";
import { Segments } from "../../ui/Field";
import { Part } from "../../ui/Panel";
import { Trouble } from "../../ui/Trouble";
import { w } from "../../words";
import { decimals, type Heat, heats, HEATS, join, type Row } from "./heat";
import { Conditions, Course, MeasureDialog } from "./Measure";

const words = w.models.layers;
const MOST = 100;

/** A version's layers in the order in which they run, as heat: where the work, the weights, the time and the loss are. */
export function Layers({ version }: { version: string }) {
  const may = useMay();
  const graph = useGraph(version, true);
  const profile = useProfile(version, may("jobs.read"));
  const [asking, setAsking] = useState(false);
  const found = profile.data?.result;
  const layers = graph.data?.layers ?? [];
  return (
    <Part
      title={`${w.models.graph}${layers.length ? ` (${count(layers.length)})` : ""}`}
      action={may("jobs.write") && profile.isSuccess && <Button kind={found ? "quiet" : "plain"} disabled={measuring(profile.data)} onClick={() => setAsking(true)}>{found ? words.again : words.measure}</Button>}
    >
      {graph.error && <Trouble error={graph.error} />}
      {profile.error && <Trouble error={profile.error} again={() => void profile.refetch()} />}
      {profile.data === null && <p className="text-sm text-mute">{words.invite}</p>}
      {profile.data && <Course one={profile.data} may={may("jobs.write")} />}
      {graph.isPending && <Bones rows={5} height={36} />}
      {layers.length > 0 && <Table rows={join(layers, found)} timed={!!found?.operators.length} ranked={!!found?.sensitivity.length} />}
      {found && <Conditions found={found} />}
      {asking && <MeasureDialog version={version} before={found?.dataset ?? ""} onClose={() => setAsking(false)} />}
    </Part>
  );
}

function Table({ rows, timed, ranked }: { rows: Row[]; timed: boolean; ranked: boolean }) {
  const [wanted, setHeat] = useParam("heat");
  const [order, setOrder] = useParam("layers");
  const [most, setMost] = useState(MOST);
  const there = HEATS.filter((one) => (one === "time" ? timed : one === "sensitivity" ? ranked : true));
  const heat: Heat = there.find((one) => one === wanted) ?? (timed ? "time" : "macs");
  const strength = heats(rows, heat);
  const digits = decimals(rows);
  const list = rows.map((row, i) => ({ row, i, heat: strength[i] ?? 0 }));
  if (order === "most") list.sort((a, b) => b.heat - a.heat || a.i - b.i);
  return (
    <div className="space-y-2">
      <div className="flex flex-wrap items-center gap-2">
        <Segments<Heat> label={words.colour} value={heat} onChange={setHeat} options={there.map((one) => [one, words.heats[one]])} />
        <Button kind="quiet" aria-pressed={order === "most"} className={order === "most" ? "bg-line/80 text-ink" : ""} onClick={() => setOrder(order === "most" ? "" : "most")}>{words.most}</Button>
      </div>
      <p className="text-sm text-mute">{words.heatTold[heat]}</p>
      <table className="w-full table-fixed text-sm" aria-label={w.models.graph}>
        <colgroup><col />{there.map((one) => <col key={one} style={{ width: one === "time" ? 62 : 56 }} />)}</colgroup>
        <thead>
          <tr className="text-mute border-b border-line">
            <th scope="col" className="text-left font-medium px-2 py-1">{words.head.layer}</th>
            {there.map((one) => (
              <th
                key={one} scope="col" title={one === "sensitivity" ? words.headTold.sensitivity : undefined}
                aria-sort={one === heat && order === "most" ? (one === "sensitivity" ? "ascending" : "descending") : undefined}
                className={`text-right font-medium py-1 pr-1 align-bottom ${one === heat ? "text-ink" : ""}`}
              >
                {words.head[one]}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {list.slice(0, most).map(({ row, i, heat: strong }) => <Line key={i} row={row} heat={strong} there={there} digits={digits} />)}
        </tbody>
      </table>
      {rows.length > most && (
        <p className="flex items-center justify-between gap-2 text-sm text-mute">
          <span>{words.rest(count(most), count(rows.length))}</span>
          <Button kind="quiet" onClick={() => setMost(most + 5 * MOST)}>{w.more}</Button>
        </p>
      )}
    </div>
  );
}

function Line({ row, heat, there, digits }: { row: Row; heat: number; there: readonly Heat[]; digits: number }) {
  const { layer, operator, level } = row;
  const shape = Array.isArray(layer.shapes?.[0]) ? (layer.shapes[0] as unknown[]).join("×") : "";
  const fused = (operator?.layers.length ?? 0) > 1;
  const inside = fused && row.lead !== layer.name;
  const bare = inside && !layer.macs && !layer.weight_bytes; // nothing to tell but whose time it shares
  const figure = "num text-right whitespace-nowrap py-1 pr-1";
  return (
    <tr className="align-top border-b border-paper" style={{ background: `color-mix(in oklab, var(--accent) ${Math.round(34 * Math.sqrt(heat))}%, transparent)` }}>
      <th scope="row" title={`${layer.name}${shape && ` · ${shape}`}`} className={`text-left font-normal pl-2 pr-1 py-1 min-w-0 border-l-2 ${inside ? "border-mute" : "border-transparent"}`}>
        <span className="block truncate"><span className="font-medium">{layer.op}</span> <span className="num opacity-80">{shape}</span></span>
        <span className="block truncate opacity-80">{layer.name}</span>
      </th>
      {!bare && <td className={figure}>{layer.macs ? si(layer.macs) : ""}</td>}
      {!bare && <td className={figure}>{layer.weight_bytes ? bytes(layer.weight_bytes) : ""}</td>}
      {there.includes("time") && (
        <td colSpan={bare ? 3 : 1} className={inside ? "text-right truncate py-1 pr-1" : figure} title={inside ? words.inside(row.lead) : operator ? undefined : words.noTime}>
          {!operator ? "–" : bare ? <span className="opacity-80">{words.inside(row.lead)}</span> : inside ? <span className="opacity-80">{words.insideShort}<span className="sr-only"> {row.lead}</span></span> : (
            <>
              {operator.ms.toFixed(digits)}
              <span className="block opacity-80">{words.share(share(operator.share, 1))}</span>
            </>
          )}
        </td>
      )}
      {there.includes("sensitivity") && <td className={figure} title={level === null ? words.noLevel : undefined}>{level === null ? "–" : level.toFixed(1)}</td>}
    </tr>
  );
}
