import type { Decision } from "../../api/fleet";
import { short } from "../../lib/format";
import { Sign } from "../../ui/Sign";
import { When } from "../../ui/When";
import { w } from "../../words";
import { Findings } from "./Findings";
import { odds, type Evidence } from "./gate";
import { DECISION_LEVEL } from "./states";

/** What was decided, with its evidence and the digest that the audit log has. */
export function Decisions({ list, named }: { list: Decision[]; named?: (rollout: string) => React.ReactNode }) {
  if (!list.length) return <p className="text-mute">{w.fleet.noDecisions}</p>;
  return (
    <ol className="space-y-3">
      {list.map((one) => {
        const evidence = one.evidence as Evidence;
        return (
          <li key={one.id} className="flex gap-2.5">
            <span className="h-5 flex items-center"><Sign level={DECISION_LEVEL[one.kind] ?? "active"} label="" /></span>
            <div className="min-w-0 flex-1">
              <p className="break-words">{named?.(one.rollout)}<span className="font-medium">{one.kind.replaceAll("_", " ")}{one.wave !== null && `, ${w.fleet.wave(one.wave + 1).toLowerCase()}`}</span>: {one.why}</p>
              <p className="text-sm text-mute">
                <When at={one.at} /> · {one.by === "gate" ? w.fleet.by_.gate : one.by === "rules" ? w.fleet.by_.rules : one.by}
                {typeof evidence.log_e === "number" && <> · <span className="num">{odds(evidence.log_e)} : 1</span></>}
                {" · "}<span className="num" title={`${w.fleet.digest} ${one.digest}`}>{short(one.digest)}</span>
              </p>
              {(evidence.findings?.length ?? 0) > 0 && (
                <details className="mt-1">
                  <summary className="text-sm text-accent cursor-pointer w-fit">{w.fleet.evidence}</summary>
                  <div className="pt-1"><Findings evidence={evidence} /></div>
                </details>
              )}
            </div>
          </li>
        );
      })}
    </ol>
  );
}
