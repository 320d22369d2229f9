import { useQuery, useQueryClient } from "@tanstack/react-query";
import { get, Problem, send, type Told } from "./client";

export type Account = Told["Account"];

/** Who is logged in; null: nobody. */
export function useAccount() {
  return useQuery({
    queryKey: ["account"],
    queryFn: async ({ signal }): Promise<Account | null> => {
      try {
        return await get<Account>("/account", {}, signal);
      } catch (error) {
        if (error instanceof Problem && error.status === 401) return null;
        throw error;
      }
    },
    staleTime: 60_000,
  });
}

/** What the one who is logged in may do. */
export function useMay(): (permission: string) => boolean {
  const { data } = useAccount();
  return (permission) => data?.may.includes(permission) ?? false;
}

export function useLogout(): () => Promise<void> {
  const client = useQueryClient();
  return async () => {
    await send("DELETE", "/login");
    client.clear();
    client.setQueryData(["account"], null);
  };
}
