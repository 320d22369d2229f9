import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { useMay } from "../../api/account";
import { all, send, type Told } from "../../api/client";
import { Bones } from "../../ui/Bones";
import { Button } from "../../ui/Button";
import { Copy } from "../../ui/Copy";
import { Dialog } from "../../ui/Dialog";
import { Sure } from "../../ui/Sure";
import { Tag } from "../../ui/Sign";
import { Trouble } from "../../ui/Trouble";
import { When } from "../../ui/When";
import { w } from "../../words";
import { NewUser } from "./NewUser";
import { Table } from "../../ui/Table";

type User = Told["UserTold"];
const words = w.settings.users;

export function Users() {
  const may = useMay();
  const client = useQueryClient();
  const users = useQuery({ queryKey: ["users"], queryFn: () => all<User>("/users") });
  const [adding, setAdding] = useState(false);
  const [out, setOut] = useState<User | null>(null);
  const [reset, setReset] = useState<User | null>(null);
  const [made, setMade] = useState("");
  const again = () => client.invalidateQueries({ queryKey: ["users"] });
  const letIn = useMutation({ mutationFn: (one: User) => send("PATCH", `/users/${one.id}`, { active: true }), onSuccess: again });
  const writes = may("users.write");
  return (
    <div className="space-y-4 max-w-5xl">
      {writes && <Button kind="primary" onClick={() => setAdding(true)}>{words.add}</Button>}
      {users.error && <Trouble error={users.error} again={() => void users.refetch()} />}
      {letIn.error && <Trouble error={letIn.error} />}
      {users.isPending && <Bones rows={3} />}
      {users.data && (
        <Table label={w.settings.tabs.users} head={[words.name, words.roles, words.state, words.made, ""]}>
          {users.data.map((one) => (
            <tr key={one.id}>
              <td className="min-w-32 max-w-96 [overflow-wrap:anywhere]"><span className="font-medium">{one.shown || one.name}</span>{one.shown && one.shown !== one.name && <span className="text-mute"> {one.name}</span>}</td>
              <td>{one.roles.join(", ")}</td>
              <td><Tag level={!one.active ? "bad" : one.invited ? "attention" : "good"}>{!one.active ? words.out : one.invited ? words.invited : words.active}</Tag>{one.provider && <span className="text-mute"> {words.provider}</span>}</td>
              <td className="text-mute"><When at={one.made} /></td>
              <td className="text-right whitespace-nowrap">
                {writes && !one.provider && <Button kind="quiet" onClick={() => setReset(one)}>{words.reset}</Button>}
                {writes && <Button kind="quiet" onClick={() => (one.active ? setOut(one) : letIn.mutate(one))}>{one.active ? words.shutOut : words.letIn}</Button>}
              </td>
            </tr>
          ))}
        </Table>
      )}
      {adding && <NewUser onClose={() => setAdding(false)} onMade={(password) => { setAdding(false); setMade(password); void again(); }} />}
      {out && <Sure title={words.shutOut} told={words.shutOutTold(out.name)} action={words.shutOut} danger onClose={() => setOut(null)} work={() => send("PATCH", `/users/${out.id}`, { active: false }).then(again)} />}
      {reset && <Sure title={words.reset} told={words.resetTold(reset.name)} action={words.reset} onClose={() => setReset(null)} work={async () => { setMade((await send<Told["UserMade"]>("POST", `/users/${reset.id}/password`)).password); await again(); }} />}
      {made && (
        <Dialog keeps title={words.invited} onClose={() => setMade("")}>
          <div className="space-y-3"><p>{words.made_}</p><Copy text={made} /><p className="text-mute">{words.hand}</p></div>
        </Dialog>
      )}
    </div>
  );
}
