import type { Block } from "../../api/fleet";
import { w } from "../../words";

/** One group's devices: `rows` high, column by column. */
export type Stretch = { block: number; count: number; x: number; y: number; rows: number; label: string };
export type Site = { name: string; x: number; y: number; devices: number };
export type Layout = { pitch: number; width: number; height: number; stretches: Stretch[]; sites: Site[] };

const FEW = 24;
const WIDE = 36; // where few devices would be lost on the page
const PITCHES = [18, 16, 14, 12, 11, 10, 9, 8, 7, 6];
const LABEL = 18;
const GAP = 16;

/** The widest cells with which the whole fleet is at most `high` pixels high; the smallest there are if none is. */
export function place(blocks: Block[], width: number, high: number): Layout {
  let made = placed(blocks, width, 6);
  const few = blocks.reduce((sum, one) => sum + one.devices.length, 0) <= FEW;
  for (const pitch of few ? [WIDE, ...PITCHES] : PITCHES) {
    made = placed(blocks, width, pitch);
    if (made.height <= high) break;
  }
  return made;
}

function placed(blocks: Block[], width: number, pitch: number): Layout {
  const side = width >= 720 ? 96 : 0;
  const stretches: Stretch[] = [];
  const sites: Site[] = [];
  let y = 0;
  for (const [name, members] of bySite(blocks)) {
    const devices = members.reduce((sum, i) => sum + size(blocks, i), 0);
    sites.push({ name, x: 0, y, devices });
    if (!side) y += 22;
    for (const line of lines(blocks, members, width - side)) {
      const rows = high(blocks, line, width - side, pitch);
      let x = side;
      for (const i of line) {
        stretches.push({ block: i, count: size(blocks, i), x, y, rows, label: label(blocks[i]) });
        x += Math.max(Math.ceil(size(blocks, i) / rows) * pitch, least(blocks, i)) + GAP;
      }
      y += LABEL + rows * pitch + 8;
    }
    y += 8;
  }
  return { pitch, width, height: Math.max(y - 8, 40), stretches, sites };
}

/** A site's groups, as many side by side as their names have room. */
function lines(blocks: Block[], members: number[], width: number): number[][] {
  const found: number[][] = [];
  let left = 0;
  for (const i of members) {
    const needed = least(blocks, i) + GAP;
    if (left < needed || !found.length) {
      found.push([]);
      left = width + GAP;
    }
    found.at(-1)?.push(i);
    left -= needed;
  }
  return found;
}

/** The fewest rows with which these groups stand side by side; an even strip, however different their sizes. */
function high(blocks: Block[], line: number[], width: number, pitch: number): number {
  const wide = (rows: number) => line.reduce((sum, i) => sum + Math.max(Math.ceil(size(blocks, i) / rows) * pitch, least(blocks, i)) + GAP, -GAP);
  let rows = 4;
  while (rows < 400 && wide(rows) > width) rows += 1;
  return rows;
}

function size(blocks: Block[], i: number): number {
  return blocks[i]?.devices.length ?? 0;
}

function least(blocks: Block[], i: number): number {
  return Math.max(28, 6.5 * label(blocks[i]).length);
}

function label(block: Block | undefined): string {
  const group = block?.group ?? "";
  return group.includes("/") ? group.slice(group.indexOf("/") + 1) : group || w.fleet.ungrouped;
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
    if (column < 0 || row < 0 || row >= one.rows) continue;
    const index = column * one.rows + row;
    if (index < one.count) return { block: one.block, index };
  }
  return null;
}

/** Where a device is drawn: its left upper corner. */
export function corner(layout: Layout, block: number, index: number): { x: number; y: number } | null {
  const one = layout.stretches.find((s) => s.block === block);
  if (!one || index >= one.count) return null;
  return { x: one.x + Math.floor(index / one.rows) * layout.pitch, y: one.y + LABEL + (index % one.rows) * layout.pitch };
}

/** How many devices a step to the right passes over. */
export function tall(layout: Layout, block: number): number {
  return layout.stretches.find((s) => s.block === block)?.rows ?? 1;
}

export { LABEL };
