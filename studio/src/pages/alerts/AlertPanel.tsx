import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useMay } from "../../api/account";
import type { Alert } from "../../api/alerts";
import { send } from "../../api/client";
import { useDecisions, useRollout } from "../../api/fleet";
import { Button, ButtonLink } from "../../ui/Button";
import { Facts, Panel, Part } from "../../ui/Panel";
import { Tag } from "../../ui/Sign";
import { Trouble } from "../../ui/Trouble";
import { When } from "../../ui/When";
import { w } from "../../words";
import { Decisions } from "../fleet/Decisions";
import { Gate } from "../fleet/Gate";
import { Orders } from "../fleet/Orders";
import { place, SEVERITY } from "./causes";

/** One alert: its cause, what was decided by itself and why, what is left to do. */
export function AlertPanel({ alert, onClose }: { alert: Alert; onClose: () => void }) {
  const words = w.alerts.kinds[alert.kind] ?? { name: alert.kind, todo: "" };
  const may = useMay();
  const client = useQueryClient();
  const acknowledge = useMutation({
    mutationFn: () => send("POST", `/alerts/${alert.id}/acknowledge`),
    onSuccess: () => client.invalidateQueries({ queryKey: ["alerts"] }),
  });
  const [kind, ...rest] = alert.subject.split("/");
  const there = place(alert.subject);
  return (
    <Panel title={words.name} onClose={onClose} above={<Tag level={SEVERITY[alert.severity] ?? "unknown"}>{w.alerts.severities[alert.severity] ?? alert.severity}</Tag>}>
      <p className="break-words">{alert.told}</p>
      <Facts rows={[
        [w.alerts.subjects[kind ?? ""] ?? alert.subject, <span key="s" className="num">{rest.join("/") || "–"}</span>],
        [w.alerts.since, <When key="w" at={alert.since} />],
        ...(alert.resolved ? [[w.alerts.resolvedAt, <When key="r" at={alert.resolved} />] as [string, React.ReactNode]] : []),
        ...(alert.returns ? [["", w.alerts.came(alert.returns)] as [string, React.ReactNode]] : []),
      ]} />
      <div className="flex gap-2 flex-wrap">
        {may("alerts.write") && !alert.resolved && (alert.acknowledged
          ? <p className="text-mute">{w.alerts.acknowledged(alert.acknowledged_by)} · <When at={alert.acknowledged} /></p>
          : <Button kind="primary" disabled={acknowledge.isPending} onClick={() => acknowledge.mutate()}>{w.alerts.acknowledge}</Button>)}
        {there && <ButtonLink href={there}>{w.alerts.openIt}</ButtonLink>}
      </div>
      {acknowledge.error && <Trouble error={acknowledge.error} />}
      <Part title={w.alerts.todo}><p>{words.todo}</p></Part>
      {kind === "rollout" ? <OfRollout id={rest.join("/")} /> : <Part title={w.alerts.decision}><p className="text-mute">{w.alerts.noDecision}</p></Part>}
    </Panel>
  );
}

function OfRollout({ id }: { id: string }) {
  const rollout = useRollout(id);
  const decisions = useDecisions(id);
  return (
    <>
      {rollout.data && <Orders rollout={rollout.data} />}
      <Part title={w.alerts.decision}><Decisions list={decisions.data?.items ?? []} /></Part>
      {rollout.data && <Gate look={rollout.data.look} />}
    </>
  );
}
