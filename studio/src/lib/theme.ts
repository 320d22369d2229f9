import { useSyncExternalStore } from "react";

export type Theme = "system" | "light" | "dark";
const KEY = "edgewright.theme";
const watchers = new Set<() => void>();
const system = window.matchMedia("(prefers-color-scheme: dark)");
system.addEventListener("change", () => tell());

function tell(): void {
  for (const watcher of watchers) watcher();
}

export function chooseTheme(theme: Theme): void {
  if (theme === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  try {
    localStorage.setItem(KEY, theme);
  } catch {
    // Storage is shut off: it holds until the page is closed.
  }
  tell();
}

function chosen(): Theme {
  const told = document.documentElement.dataset.theme;
  return told === "light" || told === "dark" ? told : "system";
}

function watch(watcher: () => void): () => void {
  watchers.add(watcher);
  return () => watchers.delete(watcher);
}

export function useTheme(): Theme {
  return useSyncExternalStore(watch, chosen);
}

/** Whether it is dark now: what is drawn on a canvas reads its colours anew when this changes. */
export function useDark(): boolean {
  return useSyncExternalStore(watch, () => (chosen() === "system" ? system.matches : chosen() === "dark"));
}

/** The tokens as colours that a canvas understands. */
export function tokens(): Record<"ground" | "paper" | "line" | "mute" | "ink" | "accent" | "good" | "warn" | "bad" | "none", string> {
  const style = getComputedStyle(document.documentElement);
  const read = (name: string) => style.getPropertyValue(`--${name}`).trim();
  return {
    ground: read("ground"), paper: read("paper"), line: read("line"), mute: read("mute"), ink: read("ink"),
    accent: read("accent"), good: read("good"), warn: read("warn"), bad: read("bad"), none: read("none"),
  };
}
