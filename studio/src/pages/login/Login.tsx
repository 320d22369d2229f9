import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import type { Account } from "../../api/account";
import { get, leave, send, type Told } from "../../api/client";
import { Button } from "../../ui/Button";
import { Field } from "../../ui/Field";
import { Trouble } from "../../ui/Trouble";
import { w } from "../../words";
import { ChangePassword } from "./ChangePassword";

/** `ended`: whose session ended, where the page waits below. */
export default function Login({ mustChange, ended }: { mustChange: boolean; ended: Account | null }) {
  const [once, setOnce] = useState("");
  return (
    <main className="min-h-full grid place-items-center p-4">
      <div className="w-full max-w-sm">
        <div className="flex items-center gap-3 mb-6">
          <img src="/edge-ai/mark.svg" alt="" width="32" height="32" />
          <div>
            <p className="text-lg font-semibold tracking-tight">{w.product}</p>
            <p className="text-mute">{w.login.told} <span className="num">{window.location.host}</span></p>
          </div>
        </div>
        <div className="rounded border border-line bg-paper p-6">
          {mustChange ? <ChangePassword now={once} /> : <Form onOnce={setOnce} ended={ended} />}
        </div>
        {!mustChange && !ended && <p className="text-sm text-mute mt-4">{w.login.first}</p>}
      </div>
    </main>
  );
}

function Form({ onOnce, ended }: { onOnce: (password: string) => void; ended: Account | null }) {
  const client = useQueryClient();
  const [name, setName] = useState("");
  const [password, setPassword] = useState("");
  const [tenant, setTenant] = useState(new URLSearchParams(window.location.search).get("tenant") ?? "");
  const login = useMutation({
    mutationFn: () => send<Told["LoggedIn"]>("POST", "/login", { name, password, tenant }),
    onSuccess: (told) => {
      if (told.must_change) onOnce(password);
      return client.invalidateQueries({ queryKey: ["account"] });
    },
  });
  const ways = useQuery({ queryKey: ["login"], queryFn: ({ signal }) => get<Told["LoginWays"]>("/login", {}, signal), staleTime: Infinity });
  const elsewhere = useMutation({ mutationFn: () => leave("/login/provider", { tenant, page: window.location.pathname }, ended !== null) });
  const refused = new URLSearchParams(window.location.search).get("refused");
  const trouble = login.error ?? elsewhere.error;
  return (
    <form className="space-y-4" onSubmit={(event) => { event.preventDefault(); login.mutate(); }}>
      <div className="space-y-1">
        <h1 className="text-lg">{w.login.title}</h1>
        {ended && <p className="text-mute break-words">{w.login.ended(ended.user.shown || ended.user.name, ended.tenant.name)}</p>}
      </div>
      <Field label={w.login.name} value={name} onChange={(e) => setName(e.target.value)} autoComplete="username" required autoFocus />
      <Field label={w.login.password} type="password" value={password} onChange={(e) => setPassword(e.target.value)} autoComplete="current-password" required />
      <Field label={w.login.tenant} hint={w.login.tenantHint} value={tenant} onChange={(e) => setTenant(e.target.value)} autoComplete="organization" />
      {trouble ? <Trouble error={trouble} /> : refused && <p role="alert" className="text-bad">{refused === "role" ? w.login.noRole : w.login.notLetIn}</p>}
      <Button kind="primary" type="submit" className="w-full" disabled={login.isPending}>{login.isPending ? w.login.busy : w.login.submit}</Button>
      {ways.data?.provider && <Button className="w-full" disabled={elsewhere.isPending} onClick={() => elsewhere.mutate()}>{w.login.provider}</Button>}
      {ended && <p className="text-sm text-mute">{w.login.beside}</p>}
    </form>
  );
}
