import type { Block } from "../../api/fleet";
import { w } from "../../words";

/** A stretch of one group's devices: `rows` high, column by column, from device `start` on. */
export type Stretch = { block: number; start: number; count: number; x: number; y: number; label: string };
export type Site = { name: string; x: number; y: number; devices: number };
export type Layout = { pitch: number; rows: number; width: number; height: number; stretches: Stretch[]; sites: Site[] };

const PITCHES = [18, 16, 14, 12, 11, 10, 9, 8, 7, 6];
const LABEL = 18;
const GAP = 16;

/** The widest cells with which the whole fleet is at most `high` pixels high; the smallest there are if none is. */
export function place(blocks: Block[], width: number, high: number): Layout {
  let made = placed(blocks, width, 6);
  for (const pitch of PITCHES) {
    made = placed(blocks, width, pitch);
    if (made.height <= high) break;
  }
  return made;
}

function placed(blocks: Block[], width: number, pitch: number): Layout {
  const rows = 10;
  const side = width >= 720 ? 96 : 0;
  const band = LABEL + rows * pitch + 10;
  const stretches: Stretch[] = [];
  const sites: Site[] = [];
  let y = 0;
  for (const [name, members] of bySite(blocks)) {
    const devices = members.reduce((sum, i) => sum + (blocks[i]?.devices.length ?? 0), 0);
    sites.push({ name, x: 0, y, devices });
    if (!side) y += 22;
    let x = side;
    for (const i of members) {
      const block = blocks[i] as Block;
      const label = block.group.includes("/") ? block.group.slice(block.group.indexOf("/") + 1) : block.group || w.fleet.ungrouped;
      let start = 0;
      while (start < block.devices.length) {
        const left = block.devices.length - start;
        const needed = Math.ceil(left / rows);
        const whole = Math.floor((width - side) / pitch);
        const free = Math.floor((width - x) / pitch);
        if (free < Math.min(needed, whole) && x > side) {
          x = side;
          y += band;
          continue;
        }
        const columns = Math.min(needed, whole);
        const count = Math.min(left, columns * rows);
        stretches.push({ block: i, start, count, x, y, label: start ? "" : label });
        x += Math.max(columns * pitch, 8 * label.length) + GAP;
        start += count;
      }
    }
    y += band + 6;
  }
  return { pitch, rows, width, height: Math.max(y - 10, band), stretches, sites };
}

function bySite(blocks: Block[]): Map<string, number[]> {
  const found = new Map<string, number[]>();
  blocks.forEach((block, i) => {
    const site = block.group.split("/")[0] || w.fleet.ungrouped;
    found.set(site, [...(found.get(site) ?? []), i]);
  });
  return found;
}

/** Which device is at a point: its block and its number there. */
export function at(layout: Layout, x: number, y: number): { block: number; index: number } | null {
  for (const one of layout.stretches) {
    const column = Math.floor((x - one.x) / layout.pitch);
    const row = Math.floor((y - one.y - LABEL) / layout.pitch);
    if (column < 0 || row < 0 || row >= layout.rows) continue;
    const index = column * layout.rows + row;
    if (index < one.count && x >= one.x) return { block: one.block, index: one.start + index };
  }
  return null;
}

/** Where a device is drawn: its left upper corner. */
export function corner(layout: Layout, block: number, index: number): { x: number; y: number } | null {
  const one = layout.stretches.find((s) => s.block === block && index >= s.start && index < s.start + s.count);
  if (!one) return null;
  const i = index - one.start;
  return { x: one.x + Math.floor(i / layout.rows) * layout.pitch, y: one.y + LABEL + (i % layout.rows) * layout.pitch };
}

export { LABEL };
