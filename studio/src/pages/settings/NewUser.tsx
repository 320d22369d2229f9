import { useMutation } from "@tanstack/react-query";
import { useState } from "react";
import { send, type Told } from "../../api/client";
import { Button } from "../../ui/Button";
import { Dialog } from "../../ui/Dialog";
import { Field } from "../../ui/Field";
import { Trouble } from "../../ui/Trouble";
import { w } from "../../words";

const words = w.settings.users;

export function NewUser({ onClose, onMade }: { onClose: () => void; onMade: (password: string) => void }) {
  const [name, setName] = useState("");
  const [shown, setShown] = useState("");
  const [roles, setRoles] = useState<string[]>(["viewer"]);
  const make = useMutation({ mutationFn: () => send<Told["UserMade"]>("POST", "/users", { name, shown, roles }), onSuccess: (told) => onMade(told.password) });
  return (
    <Dialog title={words.add} onClose={onClose}>
      <form className="space-y-4" onSubmit={(event) => { event.preventDefault(); make.mutate(); }}>
        <Field label={words.name} value={name} onChange={(e) => setName(e.target.value)} required autoFocus />
        <Field label={words.shown} value={shown} onChange={(e) => setShown(e.target.value)} />
        <fieldset className="space-y-1">
          <legend className="text-sm font-medium mb-1">{words.roles}</legend>
          {Object.entries(words.roleNames).map(([role, told]) => (
            <label key={role} className="flex gap-2.5 items-baseline">
              <input type="checkbox" checked={roles.includes(role)} onChange={(e) => setRoles(e.target.checked ? [...roles, role] : roles.filter((one) => one !== role))} />
              <span>{role} <span className="text-mute">{told}</span></span>
            </label>
          ))}
        </fieldset>
        {make.error && <Trouble error={make.error} />}
        <div className="flex justify-end"><Button kind="primary" type="submit" disabled={make.isPending || !roles.length}>{words.add}</Button></div>
      </form>
    </Dialog>
  );
}
