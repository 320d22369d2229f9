import { useMutation } from "@tanstack/react-query";
import { useState } from "react";
import { send, type Told } from "../../api/client";
import { Button } from "../../ui/Button";
import { Copy } from "../../ui/Copy";
import { Dialog } from "../../ui/Dialog";
import { Choice, Field } from "../../ui/Field";
import { Trouble } from "../../ui/Trouble";
import { w } from "../../words";

export type Hook = Told["WebhookTold"];
type Wishes = Pick<Hook, "least" | "events">;
const words = w.settings.webhooks;

/** What a webhook is told, in words. */
export function told({ least, events }: Wishes): string {
  const alerts = least === null ? [] : [words.alertsFrom(w.alerts.severities[least] ?? least)];
  return [...alerts, ...events.map((kind) => words.kinds[kind]?.name ?? kind)].join(", ");
}

export function NewHook({ onClose }: { onClose: () => void }) {
  const [url, setUrl] = useState("");
  const [wishes, setWishes] = useState<Wishes>({ least: "warning", events: [] });
  const [inside, setInside] = useState(false);
  const make = useMutation({ mutationFn: () => send<Told["WebhookMade"]>("POST", "/webhooks", { url, ...wishes, private: inside }) });
  return (
    <Dialog title={words.add} onClose={onClose} keeps={make.isSuccess}>
      {make.data ? <div className="space-y-3"><p>{words.once}</p><Copy text={make.data.secret} /></div> : (
        <form className="space-y-4" onSubmit={(event) => { event.preventDefault(); make.mutate(); }}>
          <Field label={words.url} type="url" value={url} onChange={(e) => setUrl(e.target.value)} required autoFocus />
          <Choose wishes={wishes} onChange={setWishes} />
          <label className="flex gap-2 items-center"><input type="checkbox" checked={inside} onChange={(e) => setInside(e.target.checked)} />{words.private}</label>
          {make.error && <Trouble error={make.error} />}
          <div className="flex justify-end"><Button kind="primary" type="submit" disabled={make.isPending || nothing(wishes)}>{words.add}</Button></div>
        </form>
      )}
    </Dialog>
  );
}

export function ChangeHook({ hook, onClose }: { hook: Hook; onClose: () => void }) {
  const [wishes, setWishes] = useState<Wishes>({ least: hook.least, events: hook.events });
  const keep = useMutation({ mutationFn: () => send<Hook>("PATCH", `/webhooks/${hook.id}`, wishes), onSuccess: onClose });
  return (
    <Dialog title={words.change} onClose={onClose}>
      <form className="space-y-4" onSubmit={(event) => { event.preventDefault(); keep.mutate(); }}>
        <p className="num break-all text-mute">{hook.url}</p>
        <Choose wishes={wishes} onChange={setWishes} />
        {keep.error && <Trouble error={keep.error} />}
        <div className="flex justify-end"><Button kind="primary" type="submit" disabled={keep.isPending || nothing(wishes)}>{words.save}</Button></div>
      </form>
    </Dialog>
  );
}

const nothing = ({ least, events }: Wishes) => least === null && !events.length;

function Choose({ wishes: { least, events }, onChange }: { wishes: Wishes; onChange: (wishes: Wishes) => void }) {
  const set = (kind: string, on: boolean) => onChange({ least, events: on ? [...events, kind] : events.filter((one) => one !== kind) });
  return (
    <>
      <Choice label={words.least} value={least ?? ""} onChange={(e) => onChange({ least: e.target.value || null, events })}>
        {Object.entries(w.alerts.severities).map(([key, name]) => <option key={key} value={key}>{words.alertsFrom(name)}</option>)}
        <option value="">{words.noAlerts}</option>
      </Choice>
      <fieldset className="space-y-1" aria-describedby={nothing({ least, events }) ? "hook-nothing" : undefined}>
        <legend className="text-sm font-medium mb-1">{words.events}</legend>
        {Object.entries(words.kinds).map(([kind, { name, hint }]) => (
          <label key={kind} className="flex gap-2.5 items-baseline">
            <input type="checkbox" checked={events.includes(kind)} onChange={(e) => set(kind, e.target.checked)} />
            <span>{name} <span className="text-mute">{hint}</span></span>
          </label>
        ))}
        {nothing({ least, events }) && <p id="hook-nothing" role="status" className="text-sm text-mute">{words.nothing}</p>}
      </fieldset>
    </>
  );
}
