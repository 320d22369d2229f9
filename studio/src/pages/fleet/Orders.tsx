import { useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { useMay } from "../../api/account";
import { send } from "../../api/client";
import type { RolloutWhole } from "../../api/fleet";
import { count } from "../../lib/format";
import { Button } from "../../ui/Button";
import { Sure } from "../../ui/Sure";
import { w } from "../../words";

type Kind = keyof typeof w.fleet.actions.sure;

const ALLOWED: Record<string, Kind[]> = {
  approval: ["approve", "cancel"], awaiting_signature: ["cancel"], draft: ["cancel"], staging: ["pause", "abort"],
  wave: ["advance", "pause", "abort"], paused: ["resume", "abort"], halted: ["abort"],
};

/** What can be done with a rollout in its state; each is asked for with what it touches. */
export function Orders({ rollout }: { rollout: RolloutWhole }) {
  const [asked, setAsked] = useState<Kind | null>(null);
  const may = useMay();
  const client = useQueryClient();
  const kinds = (ALLOWED[rollout.state] ?? []).filter((kind) => may(kind === "approve" ? "rollouts.write" : "rollouts.control"));
  if (!kinds.length) return null;
  const running = rollout.counts.reduce((sum, wave) => sum + (wave.active ?? 0) + (wave.switching ?? 0), 0);
  const last = rollout.wave + 1 >= rollout.waves.length;
  const label = (kind: Kind) => (kind === "advance" ? (last ? w.fleet.actions.finish : w.fleet.actions.advance(rollout.wave + 2)) : w.fleet.actions[kind]);
  const work = async (kind: Kind) => {
    await send("POST", `/rollouts/${rollout.id}/${kind}`, kind === "abort" ? { mode: "revert exposed" } : undefined);
    await client.invalidateQueries({ queryKey: ["rollouts"] });
  };
  const sure = asked && w.fleet.actions.sure[asked];
  return (
    <div className="flex flex-wrap gap-2">
      {kinds.map((kind) => (
        <Button key={kind} kind={kind === "abort" ? "danger" : kind === "resume" || kind === "approve" ? "primary" : "plain"} onClick={() => setAsked(kind)}>{label(kind)}</Button>
      ))}
      {asked && sure && (
        <Sure title={sure.title} told={sure.told(count(asked === "advance" ? rollout.devices : running))} action={label(asked)} danger={asked === "abort"} onClose={() => setAsked(null)} work={() => work(asked)} />
      )}
    </div>
  );
}
