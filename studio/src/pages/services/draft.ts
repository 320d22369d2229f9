import type { Account } from "../../api/account";

/** What is being written stays while its page is left, until it is kept or given up, or the tab is closed: the text, and
 * the revision that it changes. Nobody else who logs in here finds it. */
export type Draft = { text: string; revision: number };

function key(account: Account | null): string {
  return `edgewright.services.${account?.tenant.id}.${account?.user.id}`;
}

export function draftOf(account: Account | null): Draft | null {
  try {
    const told: unknown = JSON.parse(sessionStorage.getItem(key(account)) ?? "null");
    const { text, revision } = (told ?? {}) as Partial<Draft>;
    return typeof text === "string" && typeof revision === "number" ? { text, revision } : null;
  } catch {
    return null;
  }
}

export function keepDraft(account: Account | null, draft: Draft | null): void {
  try {
    if (draft) sessionStorage.setItem(key(account), JSON.stringify(draft));
    else sessionStorage.removeItem(key(account));
  } catch {
    // A browser that keeps nothing, or no more: then it is not kept.
  }
}
