import { useMay } from "../../api/account";
import { BUSY, useMap, useRollout, useRollouts } from "../../api/fleet";
import { count } from "../../lib/format";
import { useParam } from "../../lib/url";
import { Bones, Empty } from "../../ui/Bones";
import { Button } from "../../ui/Button";
import { Copy } from "../../ui/Copy";
import { Segments } from "../../ui/Field";
import { Page } from "../../ui/Page";
import { Panel } from "../../ui/Panel";
import { Trouble } from "../../ui/Trouble";
import { w } from "../../words";
import { DevicePanel } from "./DevicePanel";
import { Enrol } from "./Enrol";
import { Legend } from "./Legend";
import { DeviceList } from "./List";
import { FleetMap } from "./Map";
import { RolloutPanel } from "./RolloutPanel";

export default function Fleet() {
  const [by, setBy] = useParam("by", "health");
  const [view, setView] = useParam("view", "map");
  const [device, setDevice] = useParam("device");
  const [chosen, setChosen] = useParam("rollout");
  const [wave, setWave] = useParam("wave");
  const [enrol, setEnrol] = useParam("enrol");
  const may = useMay();
  const rollouts = useRollouts();
  const known = rollouts.data?.items ?? [];
  // A link may name a rollout that is further back than the list goes.
  const older = useRollout(rollouts.data && !known.some((one) => one.id === chosen) ? chosen : "").data;
  const list = older ? [older, ...known] : known;
  const shown = chosen || (list.find((one) => BUSY.has(one.state)) ?? list[0])?.id || "";
  const busy = BUSY.has(list.find((one) => one.id === shown)?.state ?? "");
  const map = useMap(by === "rollout" ? shown : "", busy ? 2_000 : 6_000);
  const blocks = map.data?.blocks ?? [];
  const total = blocks.reduce((sum, block) => sum + block.devices.length, 0);
  const colour = by === "rollout" && shown && blocks[0]?.states ? "rollout" : "health";
  const panel = device ? <DevicePanel key={device} name={device} onClose={() => setDevice("")} />
    : shown ? <RolloutPanel id={shown} wave={wave} onWave={(next) => { setWave(next); if (next) setBy("rollout"); }} onClose={chosen ? () => setChosen("") : undefined} />
    : <Panel keeps title={w.fleet.noRollout.title}><p className="text-mute">{w.fleet.noRollout.told}</p><Copy text={w.fleet.releaseCommand} /></Panel>;
  return (
    <Page
      title={w.fleet.title}
      told={map.data ? <span className="num">{total === 1 ? w.fleet.device : w.fleet.devices(count(total))}</span> : w.fleet.question}
      panel={panel}
      action={
        <>
          <label className="flex items-center gap-2">
            <span className="sr-only">{w.fleet.rollouts}</span>
            {list.length > 0 && (
              <select value={shown} onChange={(event) => { setChosen(event.target.value); }} className="h-8 max-w-44 sm:max-w-56 rounded border border-line bg-paper px-2">
                {!list.some((one) => one.id === shown) && <option value={shown}>{shown}</option>}
                {list.map((one) => <option key={one.id} value={one.id}>{one.name} · {w.fleet.rolloutStates[one.state as keyof typeof w.fleet.rolloutStates]}</option>)}
                {rollouts.data?.next && <option disabled>{w.newest(count(known.length))}</option>}
              </select>
            )}
          </label>
          {shown && !chosen && <span className="xl:hidden"><Button onClick={() => setChosen(shown)}>{w.fleet.gate.title}</Button></span>}
          {may("devices.write") && <Button kind="primary" onClick={() => setEnrol("1")}>{w.fleet.enrol}</Button>}
        </>
      }
    >
      {map.error && !map.data && <Trouble error={map.error} again={() => void map.refetch()} />}
      {map.isPending && !map.error && <Bones rows={6} height={84} />}
      {map.data && total === 0 && (
        <Empty title={w.fleet.empty.title} told={w.fleet.empty.told}>{may("devices.write") && <Button onClick={() => setEnrol("1")}>{w.fleet.enrol}</Button>}</Empty>
      )}
      {total > 0 && (
        <>
          <div className="flex flex-wrap gap-2 mb-3">
            <Segments label={w.fleet.by.label} value={by} onChange={setBy} options={[["health", w.fleet.by.health], ["rollout", w.fleet.by.rollout]]} />
            <Segments label={w.fleet.view.label} value={view} onChange={setView} options={[["map", w.fleet.view.map], ["list", w.fleet.view.list]]} />
          </div>
          <div className="mb-4"><Legend blocks={blocks} by={colour} /></div>
          {view === "list" ? <DeviceList selected={device} onSelect={setDevice} />
            : <FleetMap blocks={blocks} by={colour} wave={colour === "rollout" ? wave : ""} selected={device} onSelect={setDevice} />}
        </>
      )}
      {enrol && <Enrol onClose={() => setEnrol("")} />}
    </Page>
  );
}
