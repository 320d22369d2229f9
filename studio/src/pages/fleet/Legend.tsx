import type { Block } from "../../api/fleet";
import { count } from "../../lib/format";
import { Sign } from "../../ui/Sign";
import { HEALTH, type Meaning, meaning, ORDER } from "./letters";

/** How many devices are what: the map's key and its sum. */
export function Legend({ blocks, by }: { blocks: Block[]; by: "health" | "rollout" }) {
  const sums = new Map<string, { it: Meaning; n: number }>();
  for (const letter of by === "health" ? Object.keys(HEALTH) : ORDER) {
    const it = meaning(letter, by);
    if (!sums.has(it.name)) sums.set(it.name, { it, n: 0 });
  }
  for (const block of blocks) {
    for (const letter of by === "health" ? block.health : block.states) {
      const known = sums.get(meaning(letter, by).name);
      if (known) known.n += 1;
    }
  }
  const shown = [...sums.values()].filter((one) => one.n > 0 || by === "health");
  return (
    <ul className="flex flex-wrap gap-x-5 gap-y-1 min-h-5">
      {shown.map(({ it, n }) => (
        <li key={it.name} className="flex items-center gap-1.5">
          <Sign level={it.level} label="" />
          <span className="num">{count(n)}</span>
          <span className="text-mute">{it.name}</span>
        </li>
      ))}
    </ul>
  );
}
