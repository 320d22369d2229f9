import type { Bundle } from "../../api/artifacts";
import { MOST_DEVICES, type Named } from "../../api/benchmarks";
import { Problem, type Told } from "../../api/client";
import { short } from "../../lib/format";
import { w } from "../../words";

const words = w.benchmarks.ask;

/** What was chosen, as far as the hub has told of it. `trouble`: why it cannot be measured anywhere. */
export type Chosen = { id: string; kind: "version" | "bundle"; name: string; more: string; anywhere: boolean; trouble: string };
export type Asked = { name: string; trouble: string; device: Told["DeviceWhole"] | undefined };

export function isVersion(id: string): boolean {
  return id.includes("_");
}

export function bundleName(one: Bundle): string {
  return `${one.name} ${one.version}`;
}

export function chosenBundle(id: string, bundles: Bundle[] | undefined): Chosen {
  const one = bundles?.find((it) => it.digest === id);
  const trouble = bundles && !one ? words.unknown : "";
  return { id, kind: "bundle", name: one ? bundleName(one) : short(id), more: one ? String(one.evidence.target ?? "") : "", anywhere: one?.released ?? true, trouble };
}

export function chosenVersion(id: string, told: { data?: Named | undefined; error: Error | null }): Chosen {
  const { data, error } = told;
  const gone = error instanceof Problem && (error.status === 404 || error.status === 422);
  const trouble = gone ? words.unknown : data && data.version.state !== "ready" ? words.notReady : "";
  return { id, kind: "version", name: data ? `${data.model} v${data.version.number}` : id, more: data?.version.filename ?? "", anywhere: false, trouble };
}

/** Why it cannot start as it stands, each with what to do. Empty: it can. */
export function problems(subjects: Chosen[], devices: Asked[], hub: boolean, group: { name: string; devices: number } | null): string[] {
  const found: string[] = [];
  if (!subjects.length) found.push(words.needSubject);
  if (!hub && !group && !devices.length) found.push(words.needPlace);
  for (const one of subjects) if (one.trouble) found.push(`${one.name}: ${one.trouble}`);
  if (group || devices.length) {
    for (const one of subjects) {
      if (one.trouble || one.anywhere) continue;
      found.push(one.kind === "version" ? words.versionOn(one.name) : words.unreleased(one.name));
    }
  }
  for (const one of devices) if (one.trouble) found.push(`${one.name}: ${one.trouble}`);
  // The group's own may be among those that are named: the sum is the most there can be, the least is what is certain.
  if (Math.max(devices.length, group?.devices ?? 0) > MOST_DEVICES) found.push(words.tooMany(MOST_DEVICES));
  return found;
}

/** Bundles that a device does not have, as far as the hub knows. Nothing is told of one that the hub does not know. */
export function lacking(subjects: Chosen[], devices: Asked[]): string[] {
  const told = devices.flatMap(({ name, device }) => {
    if (!device) return [];
    const has = new Set([device.current, device.good]);
    const without = subjects.filter((one) => one.kind === "bundle" && one.anywhere && !one.trouble && !has.has(one.id)).map((one) => one.name);
    return without.length ? [{ name, names: without.join(", ") }] : [];
  });
  const [first] = told;
  if (first && told.length > 2 && told.every((one) => one.names === first.names)) return [words.lacksMany(told.length, first.names)];
  return told.map((one) => words.lacks(one.name, one.names));
}
