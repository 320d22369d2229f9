import { LineChart } from "echarts/charts";
import { GridComponent, MarkPointComponent, TooltipComponent } from "echarts/components";
import { type EChartsType, init, use } from "echarts/core";
import { CanvasRenderer } from "echarts/renderers";
import { useEffect, useRef } from "react";
import { value } from "../../lib/format";
import { tokens, useDark } from "../../lib/theme";
import { w } from "../../words";
import { DASHES, hex } from "./colours";
import { type Axis, ticks } from "./scale";

use([LineChart, GridComponent, MarkPointComponent, TooltipComponent, CanvasRenderer]);

const words = w.benchmarks;
type Series = { at: number; name: string; quantiles: number[] };

/** The share of runs that took at most so long, a line for each subject. */
export default function Ecdf({ series, axis, label }: { series: Series[]; axis: Axis; label: string }) {
  const frame = useRef<HTMLDivElement>(null);
  const chart = useRef<EChartsType | null>(null);
  const dark = useDark();
  useEffect(() => {
    if (!frame.current) return;
    const made = init(frame.current);
    chart.current = made;
    const watcher = new ResizeObserver(() => made.resize());
    watcher.observe(frame.current);
    return () => {
      watcher.disconnect();
      made.dispose();
      chart.current = null;
    };
  }, []);
  useEffect(() => {
    chart.current?.setOption(options(series, axis), { notMerge: true });
  }, [series, axis, dark]);
  return <div ref={frame} role="img" aria-label={label} className="absolute inset-0" />;
}

function options(series: Series[], axis: Axis) {
  const t = tokens();
  const mono = getComputedStyle(document.documentElement).getPropertyValue("--font-mono") || "monospace";
  const text = { color: t.mute, fontSize: 12, fontFamily: mono };
  // A single slowest run would squeeze all others on a linear axis; the table has it.
  const most = Math.max(...series.map((one) => one.quantiles[Math.floor((one.quantiles.length - 1) * 0.99)] ?? 0));
  const least = Math.min(...series.map((one) => one.quantiles[0] ?? Infinity));
  const slowest = Math.max(...series.map((one) => one.quantiles.at(-1) ?? 0));
  const log = axis === "log";
  const [from, to] = log ? [least / 1.08, slowest * 1.1] : [Math.max(0, least - 0.04 * (most - least)), most + 0.04 * (most - least)];
  const customValues = ticks(from, to, axis);
  return {
    animation: false,
    grid: { left: 44, right: 20, top: 14, bottom: 44 },
    tooltip: {
      trigger: "axis" as const, axisPointer: { axis: "y" as const, type: "line" as const, lineStyle: { color: t.mute, type: "dotted" as const } },
      backgroundColor: t.paper, borderColor: t.line, textStyle: { color: t.ink, fontSize: 12 }, confine: true, transitionDuration: 0,
      formatter: tip,
    },
    xAxis: {
      type: log ? ("log" as const) : ("value" as const), name: words.ecdfX, nameLocation: "middle" as const, nameGap: 26, nameTextStyle: { color: t.mute, fontSize: 12 },
      min: from, max: to,
      axisLine: { lineStyle: { color: t.line } }, axisTick: { show: false, customValues }, axisLabel: { ...text, customValues, formatter: (n: number) => value(n), hideOverlap: true }, splitLine: { lineStyle: { color: t.line } },
    },
    yAxis: { type: "value" as const, min: 0, max: 100, interval: 25, axisLabel: { ...text, formatter: "{value}%" }, splitLine: { lineStyle: { color: t.line } } },
    series: series.map((one, i) => ({
      type: "line" as const, name: one.name, showSymbol: false, clip: true, symbol: "circle", symbolSize: 6, color: hex(one.at, t),
      lineStyle: { width: one.at === 0 ? 1.6 : 2, type: DASHES[one.at % DASHES.length]?.length ? DASHES[one.at % DASHES.length] : ("solid" as const) },
      data: one.quantiles.map((ms, k) => [ms, share(k, one.quantiles)]),
      // Each letter at a height of its own, so that none covers another.
      markPoint: {
        silent: true, symbol: "circle", symbolSize: 17, itemStyle: { color: t.paper, borderColor: hex(one.at, t), borderWidth: 1 },
        label: { formatter: one.name, color: hex(one.at, t), fontSize: 11, fontFamily: mono, fontWeight: 600 }, data: [marked(one, i, series.length)],
      },
    })),
  };
}

function share(k: number, quantiles: number[]): number {
  return Math.round((10000 * k) / (quantiles.length - 1)) / 100;
}

function marked(one: Series, i: number, of: number): { coord: [number, number] } {
  const k = Math.round((one.quantiles.length - 1) * (0.8 - (0.6 * (i + 0.5)) / of));
  return { coord: [one.quantiles[k] ?? 0, share(k, one.quantiles)] };
}

type Point = { seriesName?: string; value?: unknown; color?: unknown };

/** Made of elements: the hub lets no style into a page that stands in its markup. */
function tip(given: unknown): HTMLElement {
  const box = document.createElement("div");
  const points = (Array.isArray(given) ? given : []) as Point[];
  const put = (name: string, text: string, into: HTMLElement) => {
    const made = into.appendChild(document.createElement("div"));
    made.className = name;
    made.textContent = text;
    return made;
  };
  points.forEach((one, i) => {
    const [ms, percent] = one.value as [number, number];
    if (i === 0) put("text-mute mb-1", words.ecdfTip(percent), box);
    const row = put("flex justify-between gap-6", "", box);
    put("font-semibold", String(one.seriesName), row).style.color = String(one.color);
    put("num", `${value(ms)} ms`, row);
  });
  return box;
}
