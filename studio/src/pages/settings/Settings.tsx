import { Link, useParams } from "wouter";
import { useMay } from "../../api/account";
import { Page } from "../../ui/Page";
import { w } from "../../words";
import { Account } from "./Account";
import { Audit } from "./Audit";
import { Plan } from "./Plan";
import { Rules } from "./Rules";
import { Tokens } from "./Tokens";
import { Users } from "./Users";
import { Webhooks } from "./Webhooks";

const TABS = [
  { key: "account", needs: "", page: Account },
  { key: "users", needs: "users.read", page: Users },
  { key: "tokens", needs: "", page: Tokens },
  { key: "plan", needs: "tenant.read", page: Plan },
  { key: "webhooks", needs: "alerts.read", page: Webhooks },
  { key: "rules", needs: "alerts.read", page: Rules },
  { key: "audit", needs: "audit.read", page: Audit },
] as const;

export default function Settings() {
  const { tab = "account" } = useParams<{ tab?: string }>();
  const may = useMay();
  const here = TABS.find((one) => one.key === tab) ?? TABS[0];
  return (
    <Page title={w.settings.title}>
      <nav aria-label={w.settings.title} className="relative flex gap-1 border-b border-line mb-5 overflow-x-auto">
        {TABS.filter((one) => !one.needs || may(one.needs)).map((one) => (
          <Link
            key={one.key} href={`/settings/${one.key}`} aria-current={one === here ? "page" : undefined}
            className={`px-3 h-9 grid place-items-center whitespace-nowrap font-medium border-b-2 -mb-px ${one === here ? "border-accent text-ink" : "border-transparent text-mute hover:text-ink"}`}
          >
            {w.settings.tabs[one.key]}
          </Link>
        ))}
      </nav>
      {here.needs && !may(here.needs) ? <p className="text-mute">{w.forbidden}</p> : <here.page />}
    </Page>
  );
}
