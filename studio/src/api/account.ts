import { type QueryClient, useQuery } from "@tanstack/react-query";
import { createContext, useContext } from "react";
import { get, Problem, send, type Told } from "./client";

export type Account = Told["Account"];

/** Whose page it is: who is logged in, or who was until the session ended. */
export const Whose = createContext<Account | null>(null);

/** Who is logged in as the hub says it; null: nobody. That is asked anew whenever someone looks at the page. */
export function useSession() {
  return useQuery({
    queryKey: ["account"],
    queryFn: async ({ client, signal }): Promise<Account | null> => {
      try {
        return await get<Account>("/account", {}, signal);
      } catch (error) {
        if (!(error instanceof Problem) || error.status !== 401) throw error;
        hold(client);
        return null;
      }
    },
    staleTime: (query) => (query.state.data ? 60_000 : 0),
  });
}

/** What the page shows waits below the login, however long that takes: it holds what is being typed. */
function hold(client: QueryClient): void {
  for (const query of client.getQueryCache().findAll({ type: "active" })) query.setOptions({ ...query.options, gcTime: Infinity });
}

/** An answer said that nobody is logged in. The account says whether that still holds: the answer may be an old one. */
export function doubt(client: QueryClient, error: Error): void {
  if (error instanceof Problem && error.status === 401 && client.getQueryData(["account"])) void client.invalidateQueries({ queryKey: ["account"] });
}

export function useAccount(): Account | null {
  return useContext(Whose);
}

/** What the one whose page it is may do. */
export function useMay(): (permission: string) => boolean {
  const account = useAccount();
  return (permission) => account?.may.includes(permission) ?? false;
}

/** Nothing of who leaves is kept: the page begins anew. */
export async function logout(): Promise<void> {
  await send("DELETE", "/login");
  begin();
}

export function begin(): void {
  window.location.assign(import.meta.env.BASE_URL);
}
