import { useCallback } from "react";
import { useLocation, useSearch } from "wouter";

/** One word of the query: every state of a page is in its address. An empty word is left out. */
export function useParam(name: string, usual = ""): [string, (next: string, push?: boolean) => void] {
  const search = useSearch();
  const [path, go] = useLocation();
  const set = useCallback(
    (next: string, push = false) => {
      const query = new URLSearchParams(window.location.search);
      if (next === usual || next === "") query.delete(name);
      else query.set(name, next);
      const text = query.toString();
      go(text ? `${path}?${text}` : path, { replace: !push });
    },
    [name, usual, path, go],
  );
  return [new URLSearchParams(search).get(name) ?? usual, set];
}

/** Words that may stand in the query several times, in their order. */
export function useParams(name: string): [string[], (next: string[]) => void] {
  const search = useSearch();
  const [path, go] = useLocation();
  const set = useCallback(
    (next: string[]) => {
      const query = new URLSearchParams(window.location.search);
      query.delete(name);
      for (const one of next) query.append(name, one);
      const text = query.toString();
      go(text ? `${path}?${text}` : path, { replace: true });
    },
    [name, path, go],
  );
  return [[...new Set(new URLSearchParams(search).getAll(name).filter(Boolean))], set];
}
