import { useCallback } from "react";
import { useLocation, useSearch } from "wouter";

/** Goes elsewhere. Late answers move nobody: who left the page meanwhile stays where they are. */
export function useGo(): (to: string, push?: boolean) => void {
  const [, go] = useLocation();
  const here = window.location.pathname;
  return useCallback((to, push = true) => { if (window.location.pathname === here) go(to, { replace: !push }); }, [here, go]);
}

/** One word of the query: every state of a page is in its address. An empty word is left out. */
export function useParam(name: string, usual = ""): [string, (next: string, push?: boolean) => void] {
  const search = useSearch();
  const [path] = useLocation();
  const go = useGo();
  const set = useCallback(
    (next: string, push = false) => {
      const query = new URLSearchParams(window.location.search);
      if (next === usual || next === "") query.delete(name);
      else query.set(name, next);
      go(spelled(path, query), push);
    },
    [name, usual, path, go],
  );
  return [new URLSearchParams(search).get(name) ?? usual, set];
}

/** Words that may stand in the query several times, in their order. */
export function useParams(name: string): [string[], (next: string[]) => void] {
  const search = useSearch();
  const [path] = useLocation();
  const go = useGo();
  const set = useCallback(
    (next: string[]) => {
      const query = new URLSearchParams(window.location.search);
      query.delete(name);
      for (const one of next) query.append(name, one);
      go(spelled(path, query), false);
    },
    [name, path, go],
  );
  return [[...new Set(new URLSearchParams(search).getAll(name).filter(Boolean))], set];
}

function spelled(path: string, query: URLSearchParams): string {
  const text = query.toString();
  return text ? `${path}?${text}` : path;
}
