import { useState } from "react";
import { type Alert, useOpenAlerts, useResolvedAlerts } from "../../api/alerts";
import { count } from "../../lib/format";
import { useParam } from "../../lib/url";
import { Bones } from "../../ui/Bones";
import { Segments } from "../../ui/Field";
import { Page } from "../../ui/Page";
import { Panel } from "../../ui/Panel";
import { Sign } from "../../ui/Sign";
import { Trouble } from "../../ui/Trouble";
import { When } from "../../ui/When";
import { w } from "../../words";
import { AlertPanel } from "./AlertPanel";
import { type Cause, causes, SEVERITY } from "./causes";

const FEW = 5;

export default function Alerts() {
  const [state, setState] = useParam("state", "open");
  const [chosen, setChosen] = useParam("alert");
  const open = useOpenAlerts();
  const resolved = useResolvedAlerts(state === "resolved");
  const shown = state === "open" ? open : resolved;
  const list = state === "open" ? open.data : resolved.data?.items;
  const alert = [...(open.data ?? []), ...(resolved.data?.items ?? [])].find((one) => one.id === chosen);
  return (
    <Page
      title={w.alerts.title} told={w.alerts.question}
      action={<Segments label={w.alerts.title} value={state} onChange={setState} options={[["open", w.alerts.open], ["resolved", w.alerts.resolved]]} />}
      panel={alert ? <AlertPanel key={alert.id} alert={alert} onClose={() => setChosen("")} /> : <Panel keeps title={w.alerts.title}><p className="text-mute">{w.alerts.choose}</p></Panel>}
    >
      {shown.error && !list && <Trouble error={shown.error} again={() => void shown.refetch()} />}
      {!list && !shown.error && <Bones rows={3} height={88} />}
      {list && !list.length && <p className="text-mute max-w-xl">{state === "open" ? w.alerts.nothing : w.alerts.nothingResolved}</p>}
      <div className="space-y-4 max-w-4xl">
        {causes(list ?? []).map((one) => <OneCause key={one.kind} cause={one} chosen={chosen} onChoose={setChosen} />)}
        {state === "resolved" && resolved.data?.next && <p className="text-mute">{w.newest(count(resolved.data.items.length))}</p>}
      </div>
    </Page>
  );
}

function OneCause({ cause, chosen, onChoose }: { cause: Cause; chosen: string; onChoose: (id: string) => void }) {
  const words = w.alerts.kinds[cause.kind] ?? { name: cause.kind, todo: "" };
  const [whole, setWhole] = useState(false);
  const shown = cause.alerts.filter((one, i) => whole || i < FEW || one.id === chosen);
  return (
    <section className="rounded border border-line bg-paper" aria-label={words.name}>
      <div className="px-4 py-3 border-b border-line flex gap-3">
        <span className="h-5 flex items-center"><Sign level={SEVERITY[cause.severity] ?? "unknown"} size={12} label={w.alerts.severities[cause.severity] ?? cause.severity} /></span>
        <div className="min-w-0 flex-1">
          <div className="flex justify-between gap-3"><h2 className="text-base">{words.name}</h2><span className="text-mute whitespace-nowrap">{w.alerts.devices(cause.alerts.length)}</span></div>
          <p className="text-mute">{words.todo}</p>
        </div>
      </div>
      <ul className="divide-y divide-line">
        {shown.map((one) => <Line key={one.id} alert={one} here={one.id === chosen} onChoose={() => onChoose(one.id)} />)}
      </ul>
      {shown.length < cause.alerts.length && (
        <button type="button" className="w-full h-9 border-t border-line text-accent hover:bg-line/30 rounded-b" onClick={() => setWhole(true)}>{w.alerts.all(cause.alerts.length)}</button>
      )}
    </section>
  );
}

function Line({ alert, here, onChoose }: { alert: Alert; here: boolean; onChoose: () => void }) {
  return (
    <li>
      <button type="button" onClick={onChoose} aria-current={here} className={`w-full text-left px-4 py-2 grid gap-x-4 sm:grid-cols-[1fr_auto] hover:bg-line/30 ${here ? "bg-line/50" : ""}`}>
        <span className="min-w-0 break-words">{alert.told}</span>
        <span className="text-mute whitespace-nowrap text-sm pt-0.5">
          {alert.acknowledged_by ? w.alerts.acknowledged(alert.acknowledged_by) : alert.returns > 0 ? w.alerts.came(alert.returns) : ""} <When at={alert.resolved ?? (alert.acknowledged_by ? alert.acknowledged : null) ?? alert.since} />
        </span>
      </button>
    </li>
  );
}
