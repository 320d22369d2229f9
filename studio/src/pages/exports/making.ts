import type { Artifact, Bundle, Kind } from "../../api/artifacts";

const GROUPS: [keyof typeof NAMES, string[]][] = [
  ["take", ["bundle", "report"]],
  ["code", ["python", "typescript", "cpp", "cpp-onnxruntime", "android", "ios"]],
  ["deploy", ["docker", "kubernetes", "kserve", "systemd", "ci"]],
];
const NAMES = { take: 1, code: 1, deploy: 1, other: 1 };
export type Group = keyof typeof NAMES;

/** The kinds as people look for them; what somebody added is last. */
export function grouped(kinds: Kind[]): [Group, Kind[]][] {
  const found: [Group, Kind[]][] = GROUPS.map(([group, names]) => [group, names.flatMap((name) => kinds.filter((one) => one.kind === name))]);
  const known = new Set(GROUPS.flatMap(([, names]) => names));
  return [...found, ["other" as const, kinds.filter((one) => !known.has(one.kind))] as [Group, Kind[]]].filter(([, list]) => list.length > 0);
}

/** The newest of that kind, of that bundle or of the job that made it. */
export function newest(list: Artifact[], kind: Kind, bundle: string, job: string): Artifact | undefined {
  return list.find((one) => one.kind === kind.kind && (kind.of === "job" ? job !== "" && one.job === job : one.bundle === bundle));
}

export function sentence(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

export function packed(bundle: Bundle): string {
  return `${bundle.name}-${bundle.version}.ewb`;
}

/** What makes the same file on a command line. A report is the hub's alone. */
export function command(kind: Kind, bundle: Bundle): string {
  if (kind.of === "job") return "";
  if (kind.kind === "bundle") return `edgewright bundle verify ${packed(bundle)} --key signer.pub`;
  return `edgewright export ${packed(bundle)} --kind ${kind.kind} --key signer.pub -o ${bundle.name}-${bundle.version}-${kind.kind}.zip`;
}
