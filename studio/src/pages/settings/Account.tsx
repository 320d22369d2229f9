import { useMutation } from "@tanstack/react-query";
import { useState } from "react";
import { useAccount } from "../../api/account";
import { send } from "../../api/client";
import { chooseTheme, type Theme, useTheme } from "../../lib/theme";
import { Button } from "../../ui/Button";
import { Field, Segments } from "../../ui/Field";
import { Card } from "../../ui/Page";
import { Facts } from "../../ui/Panel";
import { Trouble } from "../../ui/Trouble";
import { When } from "../../ui/When";
import { w } from "../../words";

const words = w.settings.account;

export function Account() {
  const me = useAccount();
  const theme = useTheme();
  const [now, setNow] = useState("");
  const [next, setNext] = useState("");
  const change = useMutation({ mutationFn: () => send("PUT", "/account/password", { now, new: next }), onSuccess: () => { setNow(""); setNext(""); } });
  if (!me) return null;
  return (
    <div className="grid gap-4 lg:grid-cols-2 max-w-5xl items-start">
      <Card title={w.settings.tabs.account}>
        <div className="p-4 space-y-4">
          <Facts rows={[
            [words.name, me.user.shown || me.user.name], [words.roles, me.user.roles.join(", ")], [words.tenant, me.tenant.name],
            [words.until, <When key="u" at={me.until} />], [words.may, <span key="m" className="num text-sm">{me.may.join(" ") || words.nothing}</span>],
          ]} />
          <div className="space-y-1">
            <p className="text-sm text-mute">{words.looks}</p>
            <Segments<Theme> label={words.looks} value={theme} onChange={chooseTheme} options={[["system", w.shell.theme.system], ["light", w.shell.theme.light], ["dark", w.shell.theme.dark]]} />
          </div>
        </div>
      </Card>
      <Card title={words.password}>
        <form className="p-4 space-y-4" onSubmit={(event) => { event.preventDefault(); change.mutate(); }}>
          <Field label={words.now} type="password" value={now} onChange={(e) => setNow(e.target.value)} autoComplete="current-password" required />
          <Field label={words.next} hint={w.login.change.hint} type="password" value={next} onChange={(e) => setNext(e.target.value)} autoComplete="new-password" minLength={12} required />
          {change.error && <Trouble error={change.error} />}
          {change.isSuccess && <p role="status" className="text-good">{words.changed}</p>}
          <Button type="submit" disabled={change.isPending}>{words.change}</Button>
        </form>
      </Card>
    </div>
  );
}
