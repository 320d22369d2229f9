import { IsRestoringProvider, useQueryClient } from "@tanstack/react-query";
import { lazy, Suspense, useEffect, useState } from "react";
import { type Account, begin, useSession, Whose } from "../api/account";
import { follow } from "../api/live";
import { Trouble } from "../ui/Trouble";
import { Over } from "./Over";
import { Shell } from "./Shell";

const Login = lazy(() => import("../pages/login/Login"));

/**
 * Who is not logged in sees the login and comes back to where they were going. Where a session ended, the login stands
 * over the page, which keeps what was typed for the same person; for anybody else it begins anew, with nothing in memory.
 */
export function Guard() {
  const session = useSession();
  const client = useQueryClient();
  const [kept, setKept] = useState<Account | null>(null);
  const account = session.data;
  const inside = Boolean(account && !account.must_change);
  const other = inside && kept !== null && who(kept) !== who(account);
  useEffect(() => {
    if (other) begin();
    else if (inside) setKept(account ?? null);
  }, [other, inside, account]);
  useEffect(() => (inside && !other ? follow(client) : undefined), [inside, other, client]);
  if (session.isPending || other) return null;
  const whose = inside ? account : kept;
  if (session.error && account === undefined) {
    return <div className="p-8"><Trouble error={session.error} again={() => void session.refetch()} /></div>;
  }
  const login = <Suspense fallback={null}><Login mustChange={Boolean(account?.must_change)} ended={kept} /></Suspense>;
  if (!whose) return login;
  return (
    <Whose value={whose}>
      {/* Below the login nothing is asked of the hub: it would only say that nobody is logged in. */}
      <IsRestoringProvider value={!inside}><Shell /></IsRestoringProvider>
      {!inside && <Over>{login}</Over>}
    </Whose>
  );
}

function who(account: Account | null | undefined): string {
  return `${account?.tenant.id} ${account?.user.id}`;
}
