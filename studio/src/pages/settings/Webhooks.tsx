import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { useMay } from "../../api/account";
import { all, get, type Page, send, type Told } from "../../api/client";
import { Bones } from "../../ui/Bones";
import { Button } from "../../ui/Button";
import { Sure } from "../../ui/Sure";
import { Tag, type Level } from "../../ui/Sign";
import { Trouble } from "../../ui/Trouble";
import { When } from "../../ui/When";
import { w } from "../../words";
import { ChangeHook, type Hook, NewHook, told } from "./Hook";
import { Table } from "../../ui/Table";

const words = w.settings.webhooks;
const LEVELS: Record<string, Level> = { waiting: "active", delivered: "good", given_up: "bad" };

export function Webhooks() {
  const may = useMay();
  const client = useQueryClient();
  const hooks = useQuery({ queryKey: ["webhooks"], queryFn: () => all<Hook>("/webhooks") });
  const sent = useQuery({ queryKey: ["deliveries"], queryFn: ({ signal }) => get<Page<Told["DeliveryTold"]>>("/alerts/deliveries", { limit: 20 }, signal), refetchInterval: 5_000 });
  const test = useMutation({ mutationFn: (id: string) => send("POST", `/webhooks/${id}/test`), onSettled: () => client.invalidateQueries({ queryKey: ["deliveries"] }) });
  const [adding, setAdding] = useState(false);
  const [other, setOther] = useState<Hook | null>(null);
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
        <Table label={w.settings.tabs.webhooks} head={[words.url, words.told, ""]}>
          {hooks.data.map((one) => (
            <tr key={one.id}>
              <td className="num break-all">{one.url}</td>
              <td>{told(one)}</td>
              <td className="text-right whitespace-nowrap">
                {may("alerts.write") && <><Button kind="quiet" onClick={() => test.mutate(one.id)}>{words.test}</Button><Button kind="quiet" onClick={() => setOther(one)}>{words.change}</Button><Button kind="quiet" onClick={() => setGone(one)}>{words.remove}</Button></>}
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
              <td className="text-mute"><When at={one.made} /></td><td className="num break-all">{url(one.channel)}</td><td>{words.kinds[one.event]?.name ?? one.event}</td>
              <td><Tag level={LEVELS[one.state] ?? "unknown"}>{words.states[one.state] ?? one.state}</Tag> <span className="text-mute">{words.tries(one.tries)}{one.told && `: ${one.told}`}</span></td>
            </tr>
          ))}
        </Table>
      )}
      {adding && <NewHook onClose={() => { setAdding(false); void again(); }} />}
      {other && <ChangeHook hook={other} onClose={() => { setOther(null); void again(); }} />}
      {gone && <Sure title={words.remove} told={words.removeTold(gone.url)} action={words.remove} danger onClose={() => setGone(null)} work={() => send("DELETE", `/webhooks/${gone.id}`).then(again)} />}
    </div>
  );
}
