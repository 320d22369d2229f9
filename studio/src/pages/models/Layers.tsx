import { type Layer, useGraph } from "../../api/models";
import { bytes, count, value } from "../../lib/format";
import { Bones } from "../../ui/Bones";
import { Part } from "../../ui/Panel";
import { Trouble } from "../../ui/Trouble";
import { w } from "../../words";

/** A version's layers in the order in which they run, as heat: where the work and the weights are. */
export function Layers({ version }: { version: string }) {
  const graph = useGraph(version, true);
  const layers = graph.data?.layers ?? [];
  const most = Math.max(1, ...layers.map((one) => one.macs ?? 0));
  const heaviest = Math.max(1, ...layers.map((one) => one.weight_bytes ?? 0));
  return (
    <Part title={`${w.models.graph}${layers.length ? ` (${layers.length})` : ""}`}>
      {graph.error && <Trouble error={graph.error} />}
      {graph.isPending && <Bones rows={5} height={22} />}
      {layers.length > 0 && (
        <ol className="space-y-px text-sm" aria-label={w.models.heat}>
          {layers.slice(0, 200).map((one, i) => <Row key={i} one={one} heat={(one.macs ?? 0) / most} weight={(one.weight_bytes ?? 0) / heaviest} />)}
        </ol>
      )}
    </Part>
  );
}

function Row({ one, heat, weight }: { one: Layer; heat: number; weight: number }) {
  const shape = Array.isArray(one.shapes?.[0]) ? (one.shapes[0] as unknown[]).join("×") : "";
  const told = `${one.name}: ${count(one.macs ?? 0)} MACs, ${bytes(one.weight_bytes ?? 0)}`;
  return (
    <li title={told} className="grid grid-cols-[1fr_auto_64px] gap-2 items-center px-2 py-0.5 rounded-sm" style={{ background: `color-mix(in oklab, var(--accent) ${Math.round(34 * Math.sqrt(heat))}%, transparent)` }}>
      <span className="truncate">{one.op} <span className="opacity-70">{one.name}</span></span>
      <span className="num opacity-70">{shape}</span>
      <span className="num text-right">{one.macs ? `${value(one.macs / 1e6)} M` : ""}<span className="block h-0.5 ml-auto bg-ink/60" style={{ width: `${100 * weight}%` }} /></span>
    </li>
  );
}
