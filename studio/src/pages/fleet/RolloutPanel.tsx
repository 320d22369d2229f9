import { useDecisions, useRollout } from "../../api/fleet";
import { count } from "../../lib/format";
import { Bones } from "../../ui/Bones";
import { Copy } from "../../ui/Copy";
import { Panel, Part } from "../../ui/Panel";
import { Tag } from "../../ui/Sign";
import { Trouble } from "../../ui/Trouble";
import { When } from "../../ui/When";
import { w } from "../../words";
import { Decisions } from "./Decisions";
import { Gate } from "./Gate";
import { Orders } from "./Orders";
import { ROLLOUT_LEVEL } from "./states";
import { Waves } from "./Waves";

/** One rollout: its waves, its gate with the evidence, what was decided, what can be done. */
export function RolloutPanel({ id, wave, onWave, onClose }: { id: string; wave: string; onWave: (wave: string) => void; onClose?: (() => void) | undefined }) {
  const rollout = useRollout(id);
  const decisions = useDecisions(id);
  const it = rollout.data;
  const state = it && (w.fleet.rolloutStates[it.state as keyof typeof w.fleet.rolloutStates] ?? it.state);
  return (
    <Panel keeps title={it?.name ?? ""} onClose={onClose}
      above={it && <span className="flex items-center gap-2"><Tag level={ROLLOUT_LEVEL[it.state] ?? "unknown"}>{state}</Tag><span>·</span><When at={it.since} /></span>}>
      {rollout.error && <Trouble error={rollout.error} again={() => void rollout.refetch()} />}
      {!it && !rollout.error && <Bones rows={5} height={40} />}
      {it && (
        <>
          <p className="text-mute">{w.fleet.devices(count(it.devices))}{it.group && ` · ${it.group}`} · <span className="num">{Object.keys(it.bundles).map((one) => one.slice(0, 12)).join(", ")}</span></p>
          {it.state === "awaiting_signature" && (
            <Part title={w.fleet.rolloutStates.awaiting_signature}><p className="text-mute">{w.fleet.signTold}</p><Copy text={w.fleet.signCommand(it.id)} /></Part>
          )}
          <Orders rollout={it} />
          <Part title={w.fleet.waves}><Waves rollout={it} wave={wave} onWave={onWave} /></Part>
          <Gate look={it.look} />
          <Part title={w.fleet.decisions}><Decisions list={decisions.data?.items ?? []} /></Part>
        </>
      )}
    </Panel>
  );
}
