import type { Readiness, Stage, Version } from "../../api/studio";
import type { Level } from "../../ui/Sign";

export const READY: Record<Readiness, Level> = { checking: "active", ready: "good", refused: "bad" };
export const STAGE: Record<Stage, Level> = { registered: "unknown", validated: "active", optimized: "good", deployed: "good", monitored: "good", retired: "unknown" };

export function fact(one: Version | null, name: string): number | null {
  const found = one?.facts?.[name];
  return typeof found === "number" ? found : null;
}
