import type { QueryClient } from "@tanstack/react-query";
import { useSyncExternalStore } from "react";

export type Event = { seq: number; at: string; kind: string; of: string; data: Record<string, unknown> };
type State = { link: "live" | "asking" | "away"; heard: number };
type Listener = (event: Event) => void;

const AGAIN_MS = 15_000;
const PARTS: [string, string[]][] = [
  ["rollout.", ["rollouts", "map", "decisions"]],
  ["alert", ["alerts"]],
  ["job.state", ["jobs"]],
  ["benchmark.", ["benchmarks"]],
  ["model.", ["models"]],
  ["device", ["devices", "map"]],
];

let state: State = { link: "asking", heard: Date.now() };
const watchers = new Set<() => void>();
const listeners = new Set<Listener>();
let source: EventSource | null = null;
let last = 0;

function set(next: Partial<State>): void {
  state = { ...state, ...next };
  for (const watcher of watchers) watcher();
}

/** The hub answered (or did not): what the header tells. */
export function heard(yes: boolean): void {
  if (yes) {
    if (Date.now() - state.heard > 900 || state.link === "away") {
      set({ heard: Date.now(), link: source?.readyState === 1 ? "live" : "asking" });
    }
  } else if (state.link !== "away") set({ link: "away" });
}

/** Events of the hub from now on, one stream for all pages: each says which lists to ask for anew. A page that nobody
 * sees lets go of it: without TLS a browser has six connections for all its tabs, and a stream holds one. */
export function follow(client: QueryClient): () => void {
  let timer = 0;
  const open = () => {
    source = new EventSource(`/api/edge/events${last ? `?after=${last}` : ""}`);
    source.onopen = () => set({ link: "live", heard: Date.now() });
    source.onmessage = (message: MessageEvent<string>) => {
      const event = JSON.parse(message.data) as Event;
      last = event.seq;
      set({ heard: Date.now(), link: "live" });
      for (const [start, keys] of PARTS) {
        if (event.kind.startsWith(start)) for (const key of keys) void client.invalidateQueries({ queryKey: [key] });
      }
      for (const listener of listeners) listener(event);
    };
    source.onerror = () => {
      if (state.link === "live") set({ link: "asking" });
      source?.close(); // a hub that has no events yet is asked again, seldom; lists are polled meanwhile
      timer = window.setTimeout(open, AGAIN_MS);
    };
  };
  const close = () => {
    window.clearTimeout(timer);
    source?.close();
    source = null;
  };
  const seen = () => {
    close();
    if (!document.hidden) open(); // from the last event on; the lists that are shown are asked for anew then, too
  };
  if (!document.hidden) open();
  document.addEventListener("visibilitychange", seen);
  return () => {
    document.removeEventListener("visibilitychange", seen);
    close();
  };
}

export function listen(listener: Listener): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

export function useLive(): State {
  return useSyncExternalStore(
    (watcher) => {
      watchers.add(watcher);
      return () => watchers.delete(watcher);
    },
    () => state,
  );
}
