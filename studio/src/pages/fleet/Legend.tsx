import type { Block } from "../../api/fleet";
import { count } from "../../lib/format";
import { Sign } from "../../ui/Sign";
import { HEALTH, type Meaning, meaning } from "./letters";

/** How many devices are what: the map's key and its sum. */
export function Legend({ blocks, by }: { blocks: Block[]; by: "health" | "rollout" }) {
  const sums = new Map<string, { it: Meaning; n: number }>();
  if (by === "health") for (const [letter, it] of Object.entries(HEALTH)) sums.set(it.name + letter, { it, n: 0 });
  for (const block of blocks) {
    for (const letter of by === "health" ? block.health : block.states) {
      const it = meaning(letter, by);
      const key = by === "health" ? it.name + letter : it.name;
      const known = sums.get(key);
      if (known) known.n += 1;
      else sums.set(key, { it, n: 1 });
    }
  }
  return (
    <ul className="flex flex-wrap gap-x-5 gap-y-1 min-h-5">
      {[...sums.values()].map(({ it, n }) => (
        <li key={it.name} className="flex items-center gap-1.5">
          <Sign level={it.level} label="" />
          <span className="num">{count(n)}</span>
          <span className="text-mute">{it.name}</span>
        </li>
      ))}
    </ul>
  );
}
