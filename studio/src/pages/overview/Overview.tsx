import { useOpenAlerts } from "../../api/alerts";
import { BUSY, useDecisions, useMap, useRollouts } from "../../api/fleet";
import { useJobs } from "../../api/jobs";
import { Page } from "../../ui/Page";
import { ButtonLink } from "../../ui/Button";
import { w } from "../../words";
import { causes } from "../alerts/causes";
import { Figures } from "./Figures";
import { Sites } from "./Sites";
import { Start } from "./Start";
import { LastDecisions, OpenAlerts, UnderWay } from "./Cards";

export default function Overview() {
  const map = useMap("", 10_000);
  const alerts = useOpenAlerts();
  const rollouts = useRollouts();
  const decisions = useDecisions();
  const jobs = useJobs();
  const running = rollouts.data?.items.filter((one) => BUSY.has(one.state) || ["paused", "approval", "awaiting_signature"].includes(one.state)) ?? [];
  const needs = causes((alerts.data ?? []).filter((one) => one.severity !== "info" && !one.acknowledged)).length;
  const empty = map.data?.blocks.length === 0 && rollouts.data?.items.length === 0 && !jobs.data?.items.length;
  return (
    <Page
      title={w.overview.title}
      told={alerts.data ? (needs ? w.overview.needs(needs) : w.overview.calm) : w.overview.question}
      action={<ButtonLink kind="primary" href="/accelerator-studio?job=new">{w.overview.start}</ButtonLink>}
    >
      <div className="space-y-4">
        {empty ? <Start /> : <Figures map={map.data} error={map.error} />}
        <div className="grid gap-4 grid-cols-1 lg:grid-cols-2">
          <UnderWay rollouts={rollouts.data && running} jobs={jobs.data?.items} error={rollouts.error ?? jobs.error} />
          <OpenAlerts alerts={alerts.data} error={alerts.error} />
          <LastDecisions decisions={decisions.data?.items} error={decisions.error} rollouts={rollouts.data?.items ?? []} />
          <Sites map={map.data} />
        </div>
      </div>
    </Page>
  );
}
