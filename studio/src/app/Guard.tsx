import { useQueryClient } from "@tanstack/react-query";
import { lazy, Suspense, useEffect } from "react";
import { useAccount } from "../api/account";
import { follow } from "../api/live";
import { Trouble } from "../ui/Trouble";
import { Shell } from "./Shell";

const Login = lazy(() => import("../pages/login/Login"));

/** Who is not logged in sees the login and comes back to where they were going. */
export function Guard() {
  const account = useAccount();
  const client = useQueryClient();
  const inside = Boolean(account.data && !account.data.must_change);
  useEffect(() => (inside ? follow(client) : undefined), [inside, client]);
  if (account.isPending) return null;
  if (account.error && !account.data) {
    return <div className="p-8"><Trouble error={account.error} again={() => void account.refetch()} /></div>;
  }
  if (!inside) return <Suspense fallback={null}><Login mustChange={Boolean(account.data?.must_change)} /></Suspense>;
  return <Shell />;
}
