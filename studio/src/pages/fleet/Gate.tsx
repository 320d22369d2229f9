import { Part } from "../../ui/Panel";
import { Tag } from "../../ui/Sign";
import { When } from "../../ui/When";
import { w } from "../../words";
import { Curve } from "./Curve";
import { Findings } from "./Findings";
import type { Gaze } from "./gate";

const LEVELS = { halt: "bad", hold: "attention", advance: "good" } as const;

/** The gate of the wave that is under way: its verdict, the evidence and how far from its boundary it is. */
export function Gate({ look }: { look: Record<string, unknown> | null }) {
  if (!look || !look.action) return <Part title={w.fleet.gate.title}><p className="text-mute">{w.fleet.gate.none}</p></Part>;
  const gaze = look as unknown as Gaze;
  const needed = gaze.needed ?? gaze.evidence.log_e_needed ?? 5.3;
  const unasked = gaze.action === "advance" && gaze.evidence.installs?.offered === 0;
  const course = gaze.course ?? [{ at: gaze.at, wave: gaze.wave, log_e: gaze.log_e, needed }];
  return (
    <>
      <Part title={w.fleet.gate.title} action={<span className="text-sm text-mute"><When at={gaze.at} /></span>}>
        <p><Tag level={unasked ? "unknown" : LEVELS[gaze.action]}><span className="font-medium">{unasked ? w.fleet.gate.waits : w.fleet.gate.action[gaze.action]}</span></Tag></p>
        <p>{gaze.why}</p>
      </Part>
      <Part title={w.fleet.gate.evidence}>
        <Curve course={course} needed={needed} />
        {gaze.evidence.alpha !== undefined && <p className="text-sm text-mute">{w.fleet.gate.risk((100 * gaze.evidence.alpha).toPrecision(2).replace(/\.?0+$/, ""))}</p>}
      </Part>
      <Part title={w.fleet.gate.findings}><Findings evidence={gaze.evidence} /></Part>
    </>
  );
}
