import { useEffect, useState } from "react";
import { Link } from "wouter";
import { useAccount } from "../api/account";
import { useLive } from "../api/live";
import { useNow } from "../lib/clock";
import { span } from "../lib/format";
import { Icon, IconButton } from "../ui/Icon";
import { Sign } from "../ui/Sign";
import { w } from "../words";
import { Menu } from "./Menu";
import { Search } from "./Search";

export function Header({ onMenu }: { onMenu: () => void }) {
  const account = useAccount();
  const [searching, setSearching] = useState(false);
  useEffect(() => {
    const key = (event: KeyboardEvent) => {
      if (document.querySelector("dialog")) return; // also one that a second Escape closed, and that is about to be shown again
      const typing = event.target instanceof HTMLElement && /^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName);
      if ((event.key === "k" && (event.ctrlKey || event.metaKey)) || (event.key === "/" && !typing)) {
        event.preventDefault();
        setSearching(true);
      }
    };
    window.addEventListener("keydown", key);
    return () => window.removeEventListener("keydown", key);
  }, []);
  return (
    <header className="h-12 shrink-0 border-b border-line flex items-center gap-3 px-3 md:px-4">
      <IconButton icon="menu" label={w.shell.menu} onClick={onMenu} className="md:hidden" />
      <Link href="/" aria-label={w.product} className="flex items-center gap-2.5 font-semibold tracking-tight lg:w-44">
        <img src="/edge-ai/mark.svg" alt="" width="22" height="22" />
        <span className="hidden sm:inline">{w.product}</span>
      </Link>
      {account && (
        <span className="text-mute truncate max-w-40" title={w.shell.tenant}>
          <span className="sr-only">{w.shell.tenant} </span>{account.tenant.name}
          {account.tenant.development && (
            <span title={w.shell.developmentTold} className="hidden md:inline ml-2 text-sm border border-line rounded px-1.5 py-0.5">{w.shell.development}</span>
          )}
        </span>
      )}
      <button
        type="button" onClick={() => setSearching(true)} aria-label={w.shell.searchAll}
        className="ml-auto h-8 flex items-center gap-2 rounded border border-line bg-paper px-2.5 text-mute hover:border-mute md:w-64"
      >
        <Icon name="search" size={14} />
        <span className="hidden md:inline">{w.shell.search}</span>
        <kbd className="hidden md:inline ml-auto text-sm">/</kbd>
      </button>
      <LiveSign />
      <Menu />
      {searching && <Search onClose={() => setSearching(false)} />}
    </header>
  );
}

function LiveSign() {
  const { link, heard } = useLive();
  const now = useNow();
  const ago = Math.max(0, Math.round((now - heard) / 1000));
  const told = link === "live" ? w.shell.live : link === "away" ? w.shell.away : w.shell.checked(span(ago));
  const why = link === "live" ? w.shell.liveTold : link === "away" ? w.shell.awayTold : w.shell.checkedTold;
  return (
    <span title={why} className="flex items-center gap-1.5 text-sm text-mute md:min-w-32 justify-end" role="status">
      <Sign level={link === "live" ? "good" : link === "away" ? "bad" : "active"} size={8} label="" />
      <span className="sr-only md:not-sr-only num" aria-hidden={link === "asking"}>{told}</span>
    </span>
  );
}
