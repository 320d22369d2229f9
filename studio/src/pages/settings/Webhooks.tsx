import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { useMay } from "../../api/account";
import { all, get, type Page, send, type Told } from "../../api/client";
import { Bones } from "../../ui/Bones";
import { Button } from "../../ui/Button";
import { Copy } from "../../ui/Copy";
import { Dialog } from "../../ui/Dialog";
import { Choice, Field } from "../../ui/Field";
import { Sure } from "../../ui/Sure";
import { Tag, type Level } from "../../ui/Sign";
import { Trouble } from "../../ui/Trouble";
import { When } from "../../ui/When";
import { w } from "../../words";
import { Table } from "./Table";

type Hook = Told["WebhookTold"];
type Severity = "info" | "warning" | "critical";
const words = w.settings.webhooks;
const LEVELS: Record<string, Level> = { waiting: "active", delivered: "good", given_up: "bad" };

export function Webhooks() {
  const may = useMay();
  const client = useQueryClient();
  const hooks = useQuery({ queryKey: ["webhooks"], queryFn: () => all<Hook>("/webhooks") });
  const sent = useQuery({ queryKey: ["deliveries"], queryFn: ({ signal }) => get<Page<Told["DeliveryTold"]>>("/alerts/deliveries", { limit: 20 }, signal), refetchInterval: 5_000 });
  const test = useMutation({ mutationFn: (id: string) => send("POST", `/webhooks/${id}/test`), onSettled: () => client.invalidateQueries({ queryKey: ["deliveries"] }) });
  const [adding, setAdding] = useState(false);
  const [gone, setGone] = useState<Hook | null>(null);
  const again = () => client.invalidateQueries({ queryKey: ["webhooks"] });
  const url = (channel: string) => hooks.data?.find((one) => one.id === channel)?.url ?? channel;
  return (
    <div className="space-y-4 max-w-5xl">
      {may("alerts.write") && <Button kind="primary" onClick={() => setAdding(true)}>{words.add}</Button>}
      {hooks.error && <Trouble error={hooks.error} again={() => void hooks.refetch()} />}
      {test.error && <Trouble error={test.error} />}
      {hooks.isPending && <Bones rows={2} />}
      {hooks.data && !hooks.data.length && <p className="text-mute">{words.none}</p>}
      {hooks.data && hooks.data.length > 0 && (
        <Table label={w.settings.tabs.webhooks} head={[words.url, words.least, ""]}>
          {hooks.data.map((one) => (
            <tr key={one.id}>
              <td className="num break-all">{one.url}</td>
              <td>{w.alerts.severities[one.least] ?? one.least}</td>
              <td className="text-right whitespace-nowrap">
                {may("alerts.write") && <><Button kind="quiet" onClick={() => test.mutate(one.id)}>{words.test}</Button><Button kind="quiet" onClick={() => setGone(one)}>{words.remove}</Button></>}
              </td>
            </tr>
          ))}
        </Table>
      )}
      <h2 className="text-base pt-2">{words.deliveries}</h2>
      {sent.data && !sent.data.items.length && <p className="text-mute">{words.noDeliveries}</p>}
      {sent.data && sent.data.items.length > 0 && (
        <Table label={words.deliveries} head={[w.settings.audit.when, words.url, w.settings.audit.what, w.settings.users.state]}>
          {sent.data.items.map((one) => (
            <tr key={one.id}>
              <td className="text-mute"><When at={one.made} /></td><td className="num break-all">{url(one.channel)}</td><td>{one.event}</td>
              <td><Tag level={LEVELS[one.state] ?? "unknown"}>{words.states[one.state] ?? one.state}</Tag> <span className="text-mute">{words.tries(one.tries)}{one.told && `: ${one.told}`}</span></td>
            </tr>
          ))}
        </Table>
      )}
      {adding && <NewHook onClose={() => { setAdding(false); void again(); }} />}
      {gone && <Sure title={words.remove} told={words.removeTold(gone.url)} action={words.remove} danger onClose={() => setGone(null)} work={() => send("DELETE", `/webhooks/${gone.id}`).then(again)} />}
    </div>
  );
}

function NewHook({ onClose }: { onClose: () => void }) {
  const [url, setUrl] = useState("");
  const [least, setLeast] = useState<Severity>("warning");
  const [inside, setInside] = useState(false);
  const make = useMutation({ mutationFn: () => send<Told["WebhookMade"]>("POST", "/webhooks", { url, least, private: inside }) });
  return (
    <Dialog title={words.add} onClose={onClose}>
      {make.data ? <div className="space-y-3"><p>{words.once}</p><Copy text={make.data.secret} /></div> : (
        <form className="space-y-4" onSubmit={(event) => { event.preventDefault(); make.mutate(); }}>
          <Field label={words.url} type="url" value={url} onChange={(e) => setUrl(e.target.value)} required autoFocus />
          <Choice label={words.least} value={least} onChange={(e) => setLeast(e.target.value as Severity)}>
            {Object.entries(w.alerts.severities).map(([key, told]) => <option key={key} value={key}>{told}</option>)}
          </Choice>
          <label className="flex gap-2 items-center"><input type="checkbox" checked={inside} onChange={(e) => setInside(e.target.checked)} />{words.private}</label>
          {make.error && <Trouble error={make.error} />}
          <div className="flex justify-end"><Button kind="primary" type="submit" disabled={make.isPending}>{words.add}</Button></div>
        </form>
      )}
    </Dialog>
  );
}
