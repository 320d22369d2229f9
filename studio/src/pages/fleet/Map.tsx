import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "react";
import type { Block } from "../../api/fleet";
import { count } from "../../lib/format";
import { tokens, useDark } from "../../lib/theme";
import { Sign } from "../../ui/Sign";
import { w } from "../../words";
import { paint, Stamps } from "./draw";
import { at, corner, place, tall } from "./layout";
import { meaning } from "./letters";

type Spot = { block: number; index: number };
const FLASH_MS = 180;

/** The fleet as a grid of devices. Arrow keys go from one to the next; Enter opens it. */
export function FleetMap({ blocks, by, wave, selected, onSelect }: { blocks: Block[]; by: "health" | "rollout"; wave: string; selected: string; onSelect: (device: string) => void }) {
  const frame = useRef<HTMLDivElement>(null);
  const canvas = useRef<HTMLCanvasElement>(null);
  const over = useRef<HTMLCanvasElement>(null);
  const [size, setSize] = useState({ width: 0, high: 600 });
  const [spot, setSpot] = useState<Spot | null>(null);
  const dark = useDark();
  useLayoutEffect(() => {
    const element = frame.current;
    if (!element) return;
    const measure = () => setSize({ width: Math.floor(element.clientWidth), high: Math.max(420, window.innerHeight - 250) });
    measure();
    const watcher = new ResizeObserver(measure);
    watcher.observe(element);
    return () => watcher.disconnect();
  }, []);
  const names = blocks.map((block) => `${block.group}:${block.devices.length}`).join();
  const layout = useMemo(() => place(blocks, size.width, size.high), [names, size]);
  const chosen = useMemo(() => find(blocks, selected), [blocks, selected]);
  // The tokens are other colours when it becomes dark.
  const colours = useMemo(() => tokens(), [dark]);
  const scale = window.devicePixelRatio || 1;
  const stamps = useMemo(() => new Stamps(layout.pitch, scale, colours), [layout.pitch, scale, colours]);

  useEffect(() => {
    const context = sized(canvas.current, layout.width, layout.height, scale);
    if (context) paint(context, { layout, blocks, by, wave }, stamps, colours, fonts());
  }, [layout, blocks, by, wave, stamps, colours, scale]);

  const before = useRef<{ by: string; letters: string[] } | null>(null);
  useEffect(() => {
    const letters = blocks.map((block) => (by === "health" ? block.health : block.states));
    const last = before.current;
    before.current = { by, letters };
    const changed: Spot[] = [];
    if (last?.by === by && last.letters.length === letters.length) {
      letters.forEach((now, block) => {
        const was = last.letters[block] ?? "";
        if (was.length === now.length) for (let i = 0; i < now.length; i += 1) if (was[i] !== now[i]) changed.push({ block, index: i });
      });
    }
    const began = performance.now();
    let id = 0;
    const step = () => {
      const left = 1 - (performance.now() - began) / FLASH_MS;
      const context = sized(over.current, layout.width, layout.height, scale);
      if (!context) return;
      const ring = (one: Spot, colour: string, line: number, grow: number) => {
        const place = corner(layout, one.block, one.index);
        if (!place) return;
        context.strokeStyle = colour;
        context.lineWidth = line;
        const edge = layout.pitch - (layout.pitch > 8 ? 2 : 1);
        context.strokeRect(place.x - grow, place.y - grow, edge + 2 * grow, edge + 2 * grow);
      };
      if (left > 0) {
        context.globalAlpha = left;
        for (const one of changed) ring(one, colours.accent, 1, 0.5);
        context.globalAlpha = 1;
      }
      if (spot) ring(spot, colours.ink, 1, 1);
      if (chosen) ring(chosen, colours.ink, 2, 2);
      if (left > 0 && changed.length) id = requestAnimationFrame(step);
    };
    step();
    return () => cancelAnimationFrame(id);
  }, [blocks, by, layout, spot, chosen, colours, scale]);

  const point = (event: React.PointerEvent) => {
    const box = event.currentTarget.getBoundingClientRect();
    return at(layout, event.clientX - box.left, event.clientY - box.top);
  };
  const nameOf = (one: Spot | null) => (one ? (blocks[one.block]?.devices[one.index] ?? "") : "");
  const key = (event: React.KeyboardEvent) => {
    const here = spot ?? chosen ?? { block: 0, index: 0 };
    const step = { ArrowDown: 1, ArrowUp: -1, ArrowRight: tall(layout, here.block), ArrowLeft: -tall(layout, here.block) }[event.key];
    if (step) setSpot(moved(blocks, here, step));
    else if (event.key === "Enter" || event.key === " ") onSelect(nameOf(here));
    else return;
    event.preventDefault();
  };
  const total = blocks.reduce((sum, block) => sum + block.devices.length, 0);
  return (
    <div ref={frame} className="relative w-full">
      <div
        role="application" tabIndex={0} aria-label={w.fleet.mapTold(count(total), blocks.length)} onKeyDown={key} className="relative"
        style={{ height: layout.height }} onBlur={() => setSpot(null)}
        onPointerMove={(event) => setSpot(point(event))} onPointerLeave={() => setSpot(null)}
        onClick={(event) => { const one = point(event as unknown as React.PointerEvent); if (one) onSelect(nameOf(one)); }}
      >
        <canvas ref={canvas} className="absolute inset-0" aria-hidden="true" />
        <canvas ref={over} className="absolute inset-0 pointer-events-none" aria-hidden="true" />
        {spot && <Hint blocks={blocks} spot={spot} by={by} place={corner(layout, spot.block, spot.index)} width={layout.width} pitch={layout.pitch} />}
      </div>
      <p className="sr-only" aria-live="polite">{spot && `${nameOf(spot)} ${told(blocks, spot, by)}`}</p>
    </div>
  );
}

function Hint({ blocks, spot, by, place, width, pitch }: { blocks: Block[]; spot: Spot; by: "health" | "rollout"; place: { x: number; y: number } | null; width: number; pitch: number }) {
  const block = blocks[spot.block];
  if (!block || !place) return null;
  const letter = (by === "health" ? block.health : block.states).charAt(spot.index);
  const it = meaning(letter, by);
  return (
    <div className="absolute z-20 pointer-events-none rounded border border-line bg-paper px-2.5 py-1.5 whitespace-nowrap"
      style={{ left: Math.min(place.x, Math.max(0, width - 220)), top: place.y + pitch + 6 }}>
      <span className="num font-medium">{block.devices[spot.index]}</span>
      <span className="text-mute"> · {block.group || w.fleet.ungrouped} · </span>
      <span className="inline-flex items-center gap-1.5"><Sign level={it.level} size={9} label="" />{it.name}</span>
    </div>
  );
}

function told(blocks: Block[], spot: Spot, by: "health" | "rollout"): string {
  const block = blocks[spot.block];
  return block ? meaning((by === "health" ? block.health : block.states).charAt(spot.index), by).name : "";
}

function moved(blocks: Block[], from: Spot, by: number): Spot {
  let { block, index } = from;
  index += by;
  while (index < 0 && block > 0) {
    block -= 1;
    index += blocks[block]?.devices.length ?? 0;
  }
  while (block < blocks.length - 1 && index >= (blocks[block]?.devices.length ?? 0)) {
    index -= blocks[block]?.devices.length ?? 0;
    block += 1;
  }
  return { block, index: Math.min(Math.max(0, index), (blocks[block]?.devices.length ?? 1) - 1) };
}

function find(blocks: Block[], device: string): Spot | null {
  if (!device) return null;
  for (let block = 0; block < blocks.length; block += 1) {
    const index = blocks[block]?.devices.indexOf(device) ?? -1;
    if (index >= 0) return { block, index };
  }
  return null;
}

function sized(canvas: HTMLCanvasElement | null, width: number, height: number, scale: number): CanvasRenderingContext2D | null {
  if (!canvas || !width) return null;
  const [wide, high] = [Math.round(width * scale), Math.round(height * scale)];
  if (canvas.width !== wide || canvas.height !== high) {
    canvas.width = wide;
    canvas.height = high;
    canvas.style.width = `${width}px`;
    canvas.style.height = `${height}px`;
  }
  const context = canvas.getContext("2d");
  context?.setTransform(scale, 0, 0, scale, 0, 0);
  context?.clearRect(0, 0, width, height);
  return context;
}

function fonts(): { sans: string; mono: string } {
  const style = getComputedStyle(document.documentElement);
  return { sans: style.getPropertyValue("--font-sans") || getComputedStyle(document.body).fontFamily, mono: style.getPropertyValue("--font-mono") || "monospace" };
}
