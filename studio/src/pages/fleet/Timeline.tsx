import type { Told } from "../../api/client";
import { short } from "../../lib/format";
import type { Level } from "../../ui/Sign";
import { Sign } from "../../ui/Sign";
import { When } from "../../ui/When";

const LEVELS: Record<string, Level> = { committed: "good", idle: "good", abandoned: "bad", rolled_back: "attention", rolling_back: "attention", failed: "bad" };

/** What happened on a device, newest first, along a line. */
export function Timeline({ events }: { events: Told["EventTold"][] }) {
  return (
    <ol className="relative border-l border-line ml-[5px] space-y-2.5">
      {events.map((one) => (
        <li key={one.id} className="pl-4 relative">
          <span className="absolute -left-[5px] top-[1px] bg-paper py-[2px]"><Sign level={LEVELS[one.kind] ?? "active"} label="" /></span>
          <div className="flex gap-2 justify-between items-baseline">
            <span className="min-w-0 break-words">{one.kind.replaceAll("_", " ")}{one.detail && <span className="text-mute">: {one.detail}</span>}</span>
            <span className="text-sm text-mute"><When at={one.at} /></span>
          </div>
          {one.bundle && <p className="num text-sm text-mute" title={one.bundle}>{short(one.bundle)}</p>}
        </li>
      ))}
    </ol>
  );
}
