import type { Candidate, Limits } from "../../api/studio";
import { value } from "../../lib/format";
import type { tokens } from "../../lib/theme";
import { w } from "../../words";
import { type Axis, type Binding, feasible, figure, FIGURES } from "./figures";

export type Scene = {
  candidates: Candidate[]; baseline: Candidate | null; front: string[]; best: string; chosen: string; limits: Limits; across: Axis; up: Axis; binding: Binding | null;
};
type Colours = ReturnType<typeof tokens>;

/** What the plot shows, from what is known: ECharts' options. */
export function options(scene: Scene, colours: Colours) {
  const { across, up, limits } = scene;
  const at = (one: Candidate): [number, number] | null => {
    const [x, y] = [figure(one, across), figure(one, up)];
    return x === null || y === null ? null : [x, y];
  };
  const point = (one: Candidate, look: object) => {
    const place = at(one);
    return place ? [{ id: one.id, value: place, ...look }] : [];
  };
  const points = scene.candidates.flatMap((one) => {
    const ok = feasible(one, limits);
    const refused = Boolean(one.refused?.length);
    if (refused) return point(one, { symbol: "path://M1 2 2 1 5 4 8 1 9 2 6 5 9 8 8 9 5 6 2 9 1 8 4 5Z", symbolSize: 7, itemStyle: { color: colours.none, opacity: 0.7 } });
    if (!ok) return point(one, { symbol: "emptyCircle", symbolSize: 8, itemStyle: { color: colours.none, borderWidth: 1.5 } });
    return point(one, { symbol: "circle", symbolSize: scene.front.includes(one.id) ? 10 : 8, itemStyle: { color: scene.front.includes(one.id) ? colours.accent : colours.good, opacity: scene.front.includes(one.id) ? 1 : 0.65 } });
  });
  const ring = (id: string, colour: string, size: number) => {
    const one = scene.candidates.find((c) => c.id === id);
    return one ? point(one, { symbol: "emptyCircle", symbolSize: size, itemStyle: { color: colour, borderWidth: 2 } }) : [];
  };
  const line = scene.candidates.filter((one) => scene.front.includes(one.id)).map(at).filter((one) => one !== null).sort((a, b) => a[0] - b[0]);
  const [mostX, mostY] = [limits[FIGURES[across].limit], limits[FIGURES[up].limit]];
  const area = mostX !== undefined || mostY !== undefined;
  const mark = (axis: Axis, limit: number | undefined, key: "xAxis" | "yAxis") => limit === undefined ? [] : [{
    [key]: limit, name: axis,
    lineStyle: { color: scene.binding?.axis === axis ? colours.warn : colours.mute, type: scene.binding?.axis === axis ? "solid" : "dashed", width: scene.binding?.axis === axis ? 1.5 : 1 },
    label: { formatter: `≤ ${value(limit)} ${FIGURES[axis].unit}${scene.binding?.axis === axis ? `  ${w.studio.binding}` : ""}`, color: scene.binding?.axis === axis ? colours.warn : colours.mute, position: key === "xAxis" ? "end" : "insideEndTop", fontSize: 11 },
  }];
  const base = scene.baseline ? point(scene.baseline, { symbol: "diamond", symbolSize: 13, itemStyle: { color: colours.ink }, label: { show: true, formatter: w.studio.baseline, position: "top", color: colours.ink, fontSize: 11 } }) : [];
  const font = getComputedStyle(document.body).fontFamily;
  const axis = (of: Axis, turned: boolean) => ({
    type: "value" as const, scale: true, name: `${w.studio.axes[of]} (${FIGURES[of].unit})`, nameLocation: turned ? ("end" as const) : ("middle" as const), nameGap: turned ? 12 : 26,
    nameTextStyle: { color: colours.mute, fontSize: 11, align: turned ? ("left" as const) : ("center" as const), padding: turned ? [0, 0, 0, -38] : 0 },
    min: (span: { min: number; max: number }) => (of === "accuracy" ? Math.floor(Math.min(span.min, 0)) : 0),
    max: (span: { min: number; max: number }) => Math.max(span.max, (limits[FIGURES[of].limit] ?? 0) * 1.02) * 1.06 || 1,
    axisLine: { show: !turned, lineStyle: { color: colours.line } }, axisTick: { show: false }, splitLine: { lineStyle: { color: colours.line, opacity: 0.7 } },
    axisLabel: { color: colours.mute, fontSize: 11, formatter: (n: number) => value(n), hideOverlap: true },
  });
  return {
    animationDuration: 180, animationDurationUpdate: 0, textStyle: { fontFamily: font },
    grid: { left: 46, right: 24, top: 30, bottom: 40 },
    xAxis: axis(across, false), yAxis: axis(up, true),
    series: [
      {
        type: "line" as const, data: line, step: "end" as const, silent: true, symbol: "none", lineStyle: { color: colours.accent, width: 1.25, opacity: 0.6 }, z: 2,
        ...(area && { markArea: { silent: true, itemStyle: { color: colours.good, opacity: 0.08 }, data: [[{ xAxis: "min", yAxis: "min" }, { xAxis: mostX ?? "max", yAxis: mostY ?? "max" }]] } }),
        markLine: { silent: true, symbol: "none", animation: false, data: [...mark(across, mostX, "xAxis"), ...mark(up, mostY, "yAxis")] },
      },
      { type: "scatter" as const, data: points, z: 3, cursor: "pointer" },
      { type: "scatter" as const, data: base, z: 4, cursor: "pointer" },
      { type: "scatter" as const, data: [...ring(scene.best, colours.accent, 18), ...ring(scene.chosen, colours.ink, 22)], silent: true, z: 5 },
    ],
  };
}
