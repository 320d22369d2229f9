import type { Block } from "../../api/fleet";
import { count } from "../../lib/format";
import type { tokens } from "../../lib/theme";
import { LABEL, type Layout } from "./layout";
import { type Look, meaning } from "./letters";

type Colours = ReturnType<typeof tokens>;
export type Scene = { layout: Layout; blocks: Block[]; by: "health" | "rollout"; wave: string };

/** Stamps of each look, drawn once for a size: ten thousand cells are ten thousand copies of nine pictures. */
export class Stamps {
  private made = new Map<Look, OffscreenCanvas>();
  constructor(private readonly pitch: number, private readonly scale: number, private readonly colours: Colours) {}

  of(look: Look): OffscreenCanvas {
    const known = this.made.get(look);
    if (known) return known;
    const size = Math.ceil(this.pitch * this.scale);
    const made = new OffscreenCanvas(size, size);
    const context = made.getContext("2d");
    if (context) {
      context.scale(this.scale, this.scale);
      stamp(context, look, this.pitch, this.colours);
    }
    this.made.set(look, made);
    return made;
  }
}

function stamp(c: OffscreenCanvasRenderingContext2D, look: Look, pitch: number, colours: Colours): void {
  const size = pitch - (pitch > 8 ? 2 : 1);
  const square = (colour: string, alpha = 1, inset = 0) => {
    c.globalAlpha = alpha;
    c.fillStyle = colour;
    c.beginPath();
    c.roundRect(inset, inset, size - 2 * inset, size - 2 * inset, Math.min(2, size / 5));
    c.fill();
    c.globalAlpha = 1;
  };
  const ring = (colour: string, inset: number) => {
    c.strokeStyle = colour;
    c.lineWidth = Math.max(1, size / 8);
    c.beginPath();
    c.arc(size / 2, size / 2, size / 2 - inset, 0, 2 * Math.PI);
    c.stroke();
  };
  const dot = (colour: string, radius: number) => {
    c.fillStyle = colour;
    c.beginPath();
    c.arc(size / 2, size / 2, radius, 0, 2 * Math.PI);
    c.fill();
  };
  switch (look) {
    case "good": square(colours.good, 0.42); break;
    case "bad":
      square(colours.bad);
      c.strokeStyle = colours.paper;
      c.lineWidth = Math.max(1, size / 7);
      c.beginPath();
      c.moveTo(size * 0.28, size * 0.28);
      c.lineTo(size * 0.72, size * 0.72);
      c.moveTo(size * 0.72, size * 0.28);
      c.lineTo(size * 0.28, size * 0.72);
      c.stroke();
      break;
    case "attention": case "back":
      c.fillStyle = colours.warn;
      c.beginPath();
      c.moveTo(size / 2, 0);
      c.lineTo(size, size);
      c.lineTo(0, size);
      c.fill();
      break;
    case "silent": ring(colours.none, Math.max(1, size / 8)); break;
    case "half": square(colours.accent, 0.3); break;
    case "moving": square(colours.accent, 0.95); break;
    case "dot": dot(colours.none, Math.max(1, size / 5)); break;
    case "target": ring(colours.none, size / 3.4); break;
    case "faint": dot(colours.line, Math.max(0.8, size / 6)); break;
  }
}

/** All of it; a `wave` makes all others step back. */
export function paint(c: CanvasRenderingContext2D, scene: Scene, stamps: Stamps, colours: Colours, fonts: { sans: string; mono: string }): void {
  const { layout, blocks, by } = scene;
  c.clearRect(0, 0, layout.width, layout.height + 40);
  c.textBaseline = "alphabetic";
  for (const site of layout.sites) {
    c.font = `600 13px ${fonts.sans}`;
    c.fillStyle = colours.ink;
    c.fillText(site.name, site.x, site.y + 13 + (layout.width >= 720 ? LABEL - 4 : 0), 92);
    c.font = `11px ${fonts.mono}`;
    c.fillStyle = colours.mute;
    const below = layout.width >= 720;
    c.fillText(count(site.devices), below ? site.x : site.x + 100, site.y + (below ? 13 + LABEL + 12 : 13), 92);
  }
  for (const one of layout.stretches) {
    const block = blocks[one.block];
    if (!block) continue;
    c.font = `11px ${fonts.sans}`;
    c.fillStyle = colours.mute;
    c.fillText(one.label, one.x, one.y + 12);
    const letters = by === "health" ? block.health : block.states;
    for (let i = 0; i < one.count; i += 1) {
      const look = meaning(letters.charAt(i) || ".", by).look;
      const x = one.x + Math.floor(i / one.rows) * layout.pitch;
      const y = one.y + LABEL + (i % one.rows) * layout.pitch;
      c.globalAlpha = scene.wave !== "" && block.waves.charAt(i) !== scene.wave ? 0.22 : 1;
      c.drawImage(stamps.of(look), x, y, layout.pitch, layout.pitch);
    }
    c.globalAlpha = 1;
  }
}
