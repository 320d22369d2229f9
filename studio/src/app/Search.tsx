import { useQuery } from "@tanstack/react-query";
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "react";
import { useLocation } from "wouter";
import { useRollouts } from "../api/fleet";
import { useModels } from "../api/models";
import { get, type Page, type Told } from "../api/client";
import { besideCloses, giveBack } from "../ui/focus";
import { Icon } from "../ui/Icon";
import { w } from "../words";
import { PAGES } from "./pages";

type Hit = { kind: string; name: string; more: string; href: string };

/** One box: pages, devices, models and rollouts by a part of their name. */
export function Search({ onClose }: { onClose: () => void }) {
  const [text, setText] = useState("");
  const [at, setAt] = useState(0);
  const [, go] = useLocation();
  const ref = useRef<HTMLDialogElement>(null);
  const hits = useHits(text.trim());
  useLayoutEffect(() => {
    const dialog = ref.current;
    const opener = document.activeElement;
    dialog?.showModal();
    return () => {
      dialog?.close();
      giveBack(opener);
    };
  }, []);
  useEffect(() => setAt(0), [text]);
  const open = (hit: Hit | undefined) => {
    if (!hit) return;
    onClose();
    go(hit.href);
  };
  const key = (event: React.KeyboardEvent) => {
    if (event.key === "ArrowDown") setAt((i) => Math.min(i + 1, hits.length - 1));
    else if (event.key === "ArrowUp") setAt((i) => Math.max(i - 1, 0));
    else if (event.key === "Enter") open(hits[at]);
    else return;
    event.preventDefault();
  };
  return (
    <dialog
      ref={ref} aria-label={w.shell.searchAll} onCancel={onClose} onMouseDown={(event) => besideCloses(event, onClose)}
      className="m-auto mt-[10vh] w-[calc(100vw-32px)] max-w-xl rounded border border-line bg-paper p-0 backdrop:bg-black/40"
    >
      <div className="flex items-center gap-3 px-4 h-12 border-b border-line text-mute">
        <Icon name="search" />
        <input
          autoFocus value={text} onChange={(event) => setText(event.target.value)} onKeyDown={key} placeholder={w.shell.searchAll}
          role="combobox" aria-expanded="true" aria-controls="hits" aria-label={w.shell.searchAll} aria-activedescendant={hits[at] ? `hit-${at}` : undefined}
          className="flex-1 bg-transparent outline-none text-lg text-ink"
        />
      </div>
      <ul id="hits" role="listbox" aria-label={w.shell.search} className="max-h-[50vh] overflow-y-auto p-2 min-h-24">
        {hits.map((hit, i) => (
          <li key={hit.href} id={`hit-${i}`} role="option" aria-selected={i === at} onMouseMove={() => setAt(i)} onClick={() => open(hit)}
            className={`px-3 h-9 flex items-center gap-3 rounded cursor-pointer ${i === at ? "bg-line/70" : ""}`}>
            <span className="truncate">{hit.name}</span>
            <span className="text-mute truncate">{hit.more}</span>
            <span className="ml-auto text-sm text-mute">{hit.kind}</span>
          </li>
        ))}
        {!hits.length && <li className="p-3 text-mute">{w.shell.searchNothing(text)}</li>}
      </ul>
      <p className="px-4 py-2 border-t border-line text-sm text-mute">{w.shell.searchHint}</p>
    </dialog>
  );
}

function useHits(text: string): Hit[] {
  const devices = useQuery({
    queryKey: ["search", "devices", text],
    queryFn: ({ signal }) => get<Page<Told["DeviceTold"]>>("/devices", { q: text, limit: 8 }, signal),
    enabled: text.length > 1,
    placeholderData: (before) => before,
  });
  const rollouts = useRollouts();
  const models = useModels();
  return useMemo(() => {
    const fits = (name: string) => name.toLowerCase().includes(text.toLowerCase());
    const found: Hit[] = PAGES.filter((one) => fits(one.name)).map((one) => ({ kind: w.shell.searchPages, name: one.name, more: "", href: one.path }));
    for (const one of rollouts.data?.items ?? []) {
      if (text && (fits(one.name) || fits(one.id))) {
        found.push({ kind: w.shell.searchRollouts, name: one.name, more: w.fleet.rolloutStates[one.state as keyof typeof w.fleet.rolloutStates], href: `/fleet?rollout=${one.id}` });
      }
    }
    for (const one of models.data?.items ?? []) {
      if (text && fits(one.name)) found.push({ kind: w.shell.searchModels, name: one.name, more: one.newest ? w.models.version(one.newest.number) : "", href: `/models?model=${one.id}` });
    }
    if (text.length > 1) {
      for (const one of devices.data?.items ?? []) {
        if (fits(one.name)) found.push({ kind: w.shell.searchDevices, name: one.name, more: one.group, href: `/fleet?device=${one.name}` });
      }
    }
    return found.slice(0, 14);
  }, [text, devices.data, rollouts.data, models.data]);
}
