import { useMutation } from "@tanstack/react-query";
import { useEffect, useRef, useState } from "react";
import { Link } from "wouter";
import { logout, useAccount } from "../api/account";
import { chooseTheme, type Theme, useTheme } from "../lib/theme";
import { Segments } from "../ui/Field";
import { Icon } from "../ui/Icon";
import { Trouble } from "../ui/Trouble";
import { w } from "../words";

/** One's own account: who one is, how it looks, the way out. */
export function Menu() {
  const account = useAccount();
  const leave = useMutation({ mutationFn: logout });
  const theme = useTheme();
  const [open, setOpen] = useState(false);
  const ref = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (!open) return;
    const away = (event: Event) => {
      if (event instanceof KeyboardEvent ? event.key === "Escape" : !ref.current?.contains(event.target as Node)) setOpen(false);
    };
    window.addEventListener("mousedown", away);
    window.addEventListener("keydown", away);
    return () => {
      window.removeEventListener("mousedown", away);
      window.removeEventListener("keydown", away);
    };
  }, [open]);
  if (!account) return null;
  return (
    <div ref={ref} className="relative">
      <button
        type="button" aria-label={w.shell.account} aria-expanded={open} onClick={() => setOpen(!open)}
        className="size-8 grid place-items-center rounded border border-line bg-paper text-mute hover:text-ink hover:border-mute"
      >
        <Icon name="user" />
      </button>
      {open && (
        <div className="absolute right-0 top-10 z-40 w-72 rounded border border-line bg-paper p-4 space-y-4">
          <div>
            <p className="font-medium">{account.user.shown || account.user.name}</p>
            <p className="text-mute">{account.user.roles.join(", ")} · {account.tenant.name}</p>
          </div>
          <div className="space-y-1">
            <p className="text-sm text-mute">{w.shell.theme.label}</p>
            <Segments<Theme>
              label={w.shell.theme.label} value={theme} onChange={chooseTheme}
              options={[["system", w.shell.theme.system], ["light", w.shell.theme.light], ["dark", w.shell.theme.dark]]}
            />
          </div>
          <a href="/edge-ai/licences.txt" target="_blank" rel="noreferrer" className="block text-mute hover:underline">{w.shell.licences}</a>
          {leave.error && <Trouble error={leave.error} />}
          <div className="flex justify-between border-t border-line pt-3">
            <Link href="/settings/account" onClick={() => setOpen(false)} className="text-accent hover:underline">{w.shell.account}</Link>
            <button type="button" className="text-accent hover:underline" disabled={leave.isPending} onClick={() => leave.mutate()}>{w.shell.logout}</button>
          </div>
        </div>
      )}
    </div>
  );
}
