import { useSyncExternalStore } from "react";

let now = Date.now();
const watchers = new Set<() => void>();
let timer = 0;

function watch(watcher: () => void): () => void {
  watchers.add(watcher);
  if (!timer) {
    timer = window.setInterval(() => {
      now = Date.now();
      for (const one of watchers) one();
    }, 1000);
  }
  return () => {
    watchers.delete(watcher);
    if (!watchers.size) {
      window.clearInterval(timer);
      timer = 0;
    }
  };
}

/** The time by one clock for the whole page, each second. */
export function useNow(): number {
  return useSyncExternalStore(watch, () => now);
}
