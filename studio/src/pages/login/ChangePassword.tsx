import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { send } from "../../api/client";
import { Button } from "../../ui/Button";
import { Field } from "../../ui/Field";
import { Trouble } from "../../ui/Trouble";
import { w } from "../../words";

/** A one-time password is replaced before anything else. `now`: that password, when it was typed a moment ago. */
export function ChangePassword({ now }: { now: string }) {
  const client = useQueryClient();
  const [old, setOld] = useState(now);
  const [next, setNext] = useState("");
  const [again, setAgain] = useState("");
  const differ = again !== "" && next !== again;
  const change = useMutation({
    mutationFn: () => send("PUT", "/account/password", { now: old, new: next }),
    onSuccess: () => client.invalidateQueries({ queryKey: ["account"] }),
  });
  return (
    <form className="space-y-4" onSubmit={(event) => { event.preventDefault(); if (next === again) change.mutate(); }}>
      <div>
        <h1 className="text-lg">{w.login.change.title}</h1>
        <p className="text-mute">{w.login.change.told}</p>
      </div>
      {!now && <Field label={w.settings.account.now} type="password" value={old} onChange={(e) => setOld(e.target.value)} required />}
      <Field label={w.login.change.next} hint={w.login.change.hint} type="password" value={next} onChange={(e) => setNext(e.target.value)} autoComplete="new-password" minLength={12} required />
      <Field label={w.login.change.again} type="password" value={again} onChange={(e) => setAgain(e.target.value)} autoComplete="new-password" required />
      {differ && <p role="alert" className="text-bad">{w.login.change.differ}</p>}
      {change.error && <Trouble error={change.error} />}
      <Button kind="primary" type="submit" className="w-full" disabled={change.isPending || differ}>{w.login.change.submit}</Button>
    </form>
  );
}
