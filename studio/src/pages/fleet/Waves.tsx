import type { RolloutWhole } from "../../api/fleet";
import { count } from "../../lib/format";
import { w } from "../../words";

const ORDER = ["active", "switching", "staged", "offered", "reverting", "reverted", "failed", "skipped", "released", "waiting"] as const;
const FILLS: Record<string, string> = {
  active: "bg-good/70", switching: "bg-accent", staged: "bg-accent/50", offered: "bg-accent/30", reverting: "bg-warn/60", reverted: "bg-warn",
  failed: "bg-bad", skipped: "bg-line", released: "bg-line", waiting: "bg-line",
};

/** The waves of a rollout, each as long as it has devices, filled by what these are at. */
export function Waves({ rollout, wave, onWave }: { rollout: RolloutWhole; wave?: string; onWave?: (wave: string) => void }) {
  return (
    <ol className="space-y-2">
      {rollout.counts.map((counts, i) => {
        const all = Object.values(counts).reduce((sum, n) => sum + n, 0);
        const here = rollout.wave === i && rollout.state === "wave";
        const told = ORDER.filter((state) => counts[state]).map((state) => `${count(counts[state] ?? 0)} ${w.fleet.statesShort[state]}`).join(", ");
        const chosen = wave === i.toString(36);
        const body = (
          <>
            <span className="flex justify-between gap-2 text-sm">
              <span className={here ? "font-medium" : "text-mute"}>
                {w.fleet.wave(i + 1)} <span className="text-mute">{w.fleet.ends(rollout.waves[i] ?? "")}</span>
                {here && <span className="text-accent"> · {w.fleet.phases[rollout.phase as keyof typeof w.fleet.phases] ?? rollout.phase}</span>}
              </span>
              <span className="text-mute num">{count(all)}</span>
            </span>
            <span className="flex h-2 rounded-sm overflow-hidden bg-line mt-1" title={told}>
              {ORDER.map((state) => counts[state] ? <span key={state} className={`${FILLS[state]} transition-[width] duration-150`} style={{ width: `${(100 * (counts[state] ?? 0)) / all}%` }} /> : null)}
            </span>
            <span className="block text-sm text-mute mt-0.5">{told}</span>
          </>
        );
        return (
          <li key={i}>
            {onWave ? (
              <button type="button" aria-pressed={chosen} onClick={() => onWave(chosen ? "" : i.toString(36))} className={`w-full text-left rounded px-2 -mx-2 py-1 hover:bg-line/40 ${chosen ? "bg-line/60" : ""}`} style={{ width: "calc(100% + 16px)" }}>
                {body}
              </button>
            ) : body}
          </li>
        );
      })}
    </ol>
  );
}
