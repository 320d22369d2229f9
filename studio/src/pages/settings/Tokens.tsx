import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { useAccount, useMay } from "../../api/account";
import { all, send, type Told } from "../../api/client";
import { Bones } from "../../ui/Bones";
import { Button } from "../../ui/Button";
import { Copy } from "../../ui/Copy";
import { Dialog } from "../../ui/Dialog";
import { Field, Segments } from "../../ui/Field";
import { Sure } from "../../ui/Sure";
import { Tag } from "../../ui/Sign";
import { Trouble } from "../../ui/Trouble";
import { When } from "../../ui/When";
import { w } from "../../words";
import { Table } from "../../ui/Table";

type Token = Told["TokenTold"];
const words = w.settings.tokens;

export function Tokens() {
  const may = useMay();
  const client = useQueryClient();
  const tokens = useQuery({ queryKey: ["tokens"], queryFn: () => all<Token>("/tokens") });
  const [adding, setAdding] = useState(false);
  const [gone, setGone] = useState<Token | null>(null);
  const again = () => client.invalidateQueries({ queryKey: ["tokens"] });
  const ended = (one: Token) => one.revoked !== null || new Date(one.until) < new Date();
  return (
    <div className="space-y-4 max-w-5xl">
      {may("tokens.write") && <Button kind="primary" onClick={() => setAdding(true)}>{words.add}</Button>}
      {tokens.error && <Trouble error={tokens.error} again={() => void tokens.refetch()} />}
      {tokens.isPending && <Bones rows={3} />}
      {tokens.data && !tokens.data.length && <p className="text-mute">{words.none}</p>}
      {tokens.data && tokens.data.length > 0 && (
        <Table label={w.settings.tabs.tokens} head={[words.name, words.scopes, words.made, words.until, ""]}>
          {tokens.data.map((one) => (
            <tr key={one.id}>
              <td className="font-medium">{one.name}</td>
              <td className="num text-sm">{one.scopes.length ? one.scopes.join(" ") : <span className="font-sans">{words.all}</span>}</td>
              <td className="text-mute"><When at={one.made} /></td>
              <td><Tag level={ended(one) ? "unknown" : "good"}>{one.revoked ? words.revoked : ended(one) ? words.ended : <When at={one.until} />}</Tag></td>
              <td className="text-right">{!ended(one) && <Button kind="quiet" onClick={() => setGone(one)}>{words.revoke}</Button>}</td>
            </tr>
          ))}
        </Table>
      )}
      {adding && <NewToken onClose={() => { setAdding(false); void again(); }} />}
      {gone && <Sure title={words.revoke} told={words.revokeTold(gone.name)} action={words.revoke} danger onClose={() => setGone(null)} work={() => send("DELETE", `/tokens/${gone.id}`).then(again)} />}
    </div>
  );
}

function NewToken({ onClose }: { onClose: () => void }) {
  const [name, setName] = useState("");
  const [days, setDays] = useState(90);
  const [what, setWhat] = useState<"see" | "some" | "all">("see");
  const [chosen, setChosen] = useState<string[]>([]);
  const own = useAccount()?.may ?? [];
  const scopes = what === "all" ? [] : what === "some" ? chosen : own.filter((one) => one.endsWith(".read"));
  const make = useMutation({ mutationFn: () => send<Told["TokenMade"]>("POST", "/tokens", { name, days, scopes }) });
  return (
    <Dialog title={words.add} onClose={onClose} keeps={make.isSuccess}>
      {make.data ? <div className="space-y-3"><p>{words.once}</p><Copy text={make.data.token} /></div> : (
        <form className="space-y-4" onSubmit={(event) => { event.preventDefault(); make.mutate(); }}>
          <Field label={words.name} value={name} onChange={(e) => setName(e.target.value)} required autoFocus />
          <Field label={words.days} type="number" min={1} max={365} value={days} onChange={(e) => setDays(Number(e.target.value))} required />
          <div className="space-y-2">
            <p className="text-sm font-medium">{words.scopes}</p>
            <Segments label={words.scopes} value={what} onChange={setWhat} options={[["see", words.see], ["some", words.some], ["all", words.all]]} />
            {what === "some" && (
              <fieldset className="grid grid-cols-2 gap-x-4 gap-y-1" aria-label={words.scopes}>
                {own.map((one) => (
                  <label key={one} className="flex gap-2 items-center num text-sm">
                    <input type="checkbox" checked={chosen.includes(one)} onChange={(e) => setChosen(e.target.checked ? [...chosen, one] : chosen.filter((it) => it !== one))} />{one}
                  </label>
                ))}
              </fieldset>
            )}
          </div>
          {make.error && <Trouble error={make.error} />}
          <div className="flex justify-end"><Button kind="primary" type="submit" disabled={make.isPending || (what !== "all" && !scopes.length)}>{words.add}</Button></div>
        </form>
      )}
    </Dialog>
  );
}
