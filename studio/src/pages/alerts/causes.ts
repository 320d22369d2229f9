import type { Alert } from "../../api/alerts";
import type { Level } from "../../ui/Sign";

export const SEVERITY: Record<string, Level> = { critical: "bad", warning: "attention", info: "unknown" };
const ORDER = ["critical", "warning", "info"];

export type Cause = { kind: string; severity: string; alerts: Alert[] };

/** Alerts by what is wrong, the most severe first. */
export function causes(alerts: Alert[]): Cause[] {
  const found = new Map<string, Cause>();
  for (const one of alerts) {
    const cause = found.get(one.kind) ?? { kind: one.kind, severity: one.severity, alerts: [] };
    if (ORDER.indexOf(one.severity) < ORDER.indexOf(cause.severity)) cause.severity = one.severity;
    cause.alerts.push(one);
    found.set(one.kind, cause);
  }
  return [...found.values()].sort((a, b) => ORDER.indexOf(a.severity) - ORDER.indexOf(b.severity) || b.alerts.length - a.alerts.length);
}

/** Where the subject of an alert is seen. */
export function place(subject: string): string | null {
  const [kind, ...rest] = subject.split("/");
  const name = rest.join("/");
  if (kind === "device") return `/fleet?device=${encodeURIComponent(name)}`;
  if (kind === "rollout") return `/fleet?by=rollout&rollout=${name}`;
  if (kind === "group" || kind === "fleet") return "/fleet";
  if (kind === "webhook" || kind === "mail") return "/settings/webhooks";
  return null;
}
