import type { components } from "./schema";

/** Everything the hub tells of itself, by the names of its OpenAPI document. */
export type Told = components["schemas"];
export type Page<T> = { items: T[]; next?: string | null };
export type Query = Record<string, string | number | boolean | null | undefined>;

const BASE = "/api/edge";

/** An answer that was no success: what happened, and what to do (both in `detail`). Status 0: nobody answered. */
export class Problem extends Error {
  constructor(
    readonly status: number,
    readonly kind: string,
    readonly title: string,
    readonly detail: string,
    readonly where: { where: string; told: string }[] = [],
    readonly instance = "",
  ) {
    super(detail || title);
  }
}

export function get<T>(path: string, query: Query = {}, signal?: AbortSignal): Promise<T> {
  return ask<T>("GET", path + spelled(query), signal ? { signal } : {});
}

/** Something that changes: with an idempotency key, so that a request that comes twice is carried out once. */
export function send<T>(method: "POST" | "PUT" | "PATCH" | "DELETE", path: string, body?: unknown): Promise<T> {
  const headers: Record<string, string> = { "Idempotency-Key": key() };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  return ask<T>(method, path, { method, headers, body: body === undefined ? null : JSON.stringify(body) });
}

/** Go to an address of the hub that leads elsewhere, or open it beside this page. Where it leads nowhere, the reason is thrown. */
export async function leave(path: string, query: Query, beside: boolean): Promise<void> {
  const address = BASE + path + spelled(query);
  let answer: Response;
  try {
    answer = await fetch(address, { redirect: "manual", credentials: "same-origin" });
  } catch {
    throw new Problem(0, "unreachable", "", "");
  }
  if (answer.type !== "opaqueredirect") throw problem(answer.status, await answer.json().catch(() => null));
  if (beside) window.open(address);
  else window.location.assign(address);
}

/** All pages of a list, from the query's cursor on, as one; at most `most` rows: `next` is there where there are more. */
export async function whole<T>(path: string, query: Query = {}, signal?: AbortSignal, most = 1000): Promise<Page<T>> {
  const items: T[] = [];
  let next = typeof query.cursor === "string" ? query.cursor : null;
  do {
    const page: Page<T> = await get<Page<T>>(path, { limit: 200, ...query, cursor: next }, signal);
    items.push(...page.items);
    next = page.next ?? null;
  } while (next && items.length < most);
  return { items, next };
}

/** The rows alone. */
export async function all<T>(path: string, query: Query = {}, most = 1000): Promise<T[]> {
  return (await whole<T>(path, query, undefined, most)).items;
}

/** How often a list is asked for: a long one is several requests. */
export function often(list: Page<unknown> | undefined, everyMs: number): number {
  return list && list.items.length > 200 ? 6 * everyMs : everyMs;
}

async function ask<T>(method: string, path: string, init: RequestInit): Promise<T> {
  let answer: Response;
  try {
    answer = await fetch(BASE + path, { ...init, method, credentials: "same-origin" });
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new Problem(0, "unreachable", "", "");
  }
  if (answer.status === 204) return undefined as T;
  const told: unknown = await answer.json().catch(() => null);
  if (answer.ok) return told as T;
  throw problem(answer.status, told);
}

function problem(status: number, told: unknown): Problem {
  const it = (told && typeof told === "object" ? told : {}) as Record<string, unknown>;
  const text = (name: string) => (typeof it[name] === "string" ? (it[name] as string) : "");
  const kind = text("type").split(":").pop() ?? "";
  const where = Array.isArray(it.errors) ? (it.errors as { where: string; told: string }[]) : [];
  return new Problem(status, kind || "failed", text("title"), text("detail"), where, text("instance"));
}

export function spelled(query: Query): string {
  const made = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value !== null && value !== undefined && value !== "") made.set(name, String(value));
  }
  const text = made.toString();
  return text && `?${text}`;
}

function key(): string {
  // crypto.randomUUID is there under TLS only, and a hub in a plant may be reached without.
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
