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
  const [asked, setAsked] = useState<{ kind: Kind; wave: number; state: string } | null>(null);
  const may = useMay();
  const client = useQueryClient();
  const kinds = (ALLOWED[rollout.state] ?? []).filter((kind) => may(kind === "approve" ? "rollouts.write" : "rollouts.control"));
  if (!kinds.length) return null;
  const running = rollout.counts.reduce((sum, wave) => sum + (wave.active ?? 0) + (wave.switching ?? 0), 0);
  const last = rollout.wave + 1 >= rollout.waves.length;
  const label = (kind: Kind) => (kind === "advance" ? (last ? w.fleet.actions.finish : w.fleet.actions.advance(rollout.wave + 2)) : w.fleet.actions[kind]);
  const work = async (kind: Kind) => {
    const order = kind === "advance" ? `advance?wave=${rollout.wave}` : kind;
    await send("POST", `/rollouts/${rollout.id}/${order}`, kind === "abort" ? { mode: "revert exposed" } : undefined);
    await client.invalidateQueries({ queryKey: ["rollouts"] });
  };
  // What was asked about one wave is no answer about the next: the rollout goes on while somebody thinks.
  const now = asked && asked.wave === rollout.wave && asked.state === rollout.state ? asked.kind : null;
  const sure = now && w.fleet.actions.sure[now];
  return (
    <div className="flex flex-wrap gap-2">
      {kinds.map((kind) => (
        <Button key={kind} kind={kind === "abort" ? "danger" : kind === "resume" || kind === "approve" ? "primary" : "plain"} onClick={() => setAsked({ kind, wave: rollout.wave, state: rollout.state })}>{label(kind)}</Button>
      ))}
      {now && sure && (
        <Sure title={sure.title} told={sure.told(count(now === "advance" ? rollout.devices : running))} action={label(now)} danger={now === "abort"} onClose={() => setAsked(null)} work={() => work(now)} />
      )}
    </div>
  );
}
