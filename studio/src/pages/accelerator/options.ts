import type { Candidate, Limits } from "../../api/studio";
import { value } from "../../lib/format";
import type { tokens } from "../../lib/theme";
import { w } from "../../words";
import { type Axis, type Binding, feasible, figure, FIGURES, known } from "./figures";

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
    if (!ok) return point(one, { symbol: "circle", symbolSize: 8, itemStyle: { color: "transparent", borderColor: colours.none, borderWidth: 1.5 } });
    return point(one, { symbol: "circle", symbolSize: scene.front.includes(one.id) ? 10 : 8, itemStyle: { color: scene.front.includes(one.id) ? colours.accent : colours.good, opacity: scene.front.includes(one.id) ? 1 : 0.65 } });
  });
  const ring = (id: string, colour: string, size: number) => {
    const one = scene.candidates.find((c) => c.id === id);
    return one ? point(one, { symbol: "circle", symbolSize: size, itemStyle: { color: "transparent", borderColor: colour, borderWidth: 2 } }) : [];
  };
  const line = stairs(scene.candidates.filter((one) => scene.front.includes(one.id)).map(at).filter((one) => one !== null));
  const [mostX, mostY] = [limits[FIGURES[across].limit], limits[FIGURES[up].limit]];
  const area = mostX !== undefined || mostY !== undefined;
  const mark = (axis: Axis, limit: number | undefined, key: "xAxis" | "yAxis") => limit === undefined ? [] : [{
    [key]: limit, name: axis,
    lineStyle: { color: scene.binding?.axis === axis ? colours.warn : colours.mute, type: scene.binding?.axis === axis ? "solid" : "dashed", width: scene.binding?.axis === axis ? 1.5 : 1 },
    label: { formatter: `≤ ${value(limit)} ${FIGURES[axis].unit}${scene.binding?.axis === axis ? `  ${w.studio.binding}` : ""}`, color: scene.binding?.axis === axis ? colours.warn : colours.mute, position: key === "xAxis" ? "end" : "insideEndTop", fontSize: 11 },
  }];
  const base = scene.baseline ? point(scene.baseline, { symbol: "diamond", symbolSize: 13, itemStyle: { color: colours.ink }, label: { show: true, formatter: w.studio.baseline, position: "top", color: colours.ink, fontSize: 11 } }) : [];
  const font = getComputedStyle(document.body).fontFamily;
  const [x, y] = [axis(across, false), axis(up, true)];
  function axis(of: Axis, turned: boolean) {
    const values = [...scene.candidates, ...(scene.baseline ? [scene.baseline] : [])].flatMap((one) => figure(one, of) ?? []);
    const limit = limits[FIGURES[of].limit];
    const all = limit === undefined ? values : [...values, limit];
    const [low, high] = [Math.min(...all), Math.max(...all)];
    const kind = known(scene.candidates, of);
    const log = of !== "accuracy" && low > 0 && high / low > 3;
    return {
      type: log ? ("log" as const) : ("value" as const), logBase: 10, name: `${w.studio.axes[of]} (${FIGURES[of].unit}${kind === "measured" ? "" : `, ${w.kinds[kind]}`})`, nameLocation: turned ? ("end" as const) : ("middle" as const), nameGap: turned ? 12 : 26,
      nameTextStyle: { color: colours.mute, fontSize: 11, align: turned ? ("left" as const) : ("center" as const), padding: turned ? [0, 0, 0, -38] : 0 },
      min: log ? nice(low / 1.25, -1) : Math.floor(Math.min(low, 0)), max: log ? nice(high * 1.2, 1) : round(high * 1.02) || 1,
      axisLine: { show: !turned, lineStyle: { color: colours.line } }, axisTick: { show: false }, splitLine: { lineStyle: { color: colours.line, opacity: 0.7 } },
      minorSplitLine: { show: log, lineStyle: { color: colours.line, opacity: 0.35 } }, minorTick: { show: false, splitNumber: 9 },
      axisLabel: { color: colours.mute, fontSize: 11, formatter: (n: number) => value(n), hideOverlap: true, showMinLabel: true, showMaxLabel: true },
    };
  }
  return {
    animationDuration: 180, animationDurationUpdate: 0, textStyle: { fontFamily: font },
    grid: { left: 46, right: 24, top: 30, bottom: 40 },
    xAxis: x, yAxis: y,
    series: [
      {
        type: "line" as const, data: line, step: "end" as const, silent: true, symbol: "none", lineStyle: { color: colours.accent, width: 1.25, opacity: 0.6 }, z: 2,
        ...(area && { markArea: { silent: true, itemStyle: { color: colours.good, opacity: 0.08 }, data: [[{ xAxis: x.min, yAxis: y.min }, { xAxis: mostX ?? x.max, yAxis: mostY ?? y.max }]] } }),
        markLine: { silent: true, symbol: "none", animation: false, data: [...mark(across, mostX, "xAxis"), ...mark(up, mostY, "yAxis")] },
      },
      { type: "scatter" as const, data: points, z: 3, cursor: "pointer" },
      { type: "scatter" as const, data: base, z: 4, cursor: "pointer" },
      { type: "scatter" as const, data: [...ring(scene.best, colours.accent, 18), ...ring(scene.chosen, colours.ink, 22)], silent: true, z: 5 },
    ],
  };
}

/** The next number with one digit below (-1) or above (1). */
function nice(n: number, way: 1 | -1): number {
  const ten = 10 ** Math.floor(Math.log10(n));
  return (way > 0 ? Math.ceil(n / ten) : Math.floor(n / ten)) * ten;
}

/** The next number where an axis that is cut into some equal parts may end. */
function round(n: number): number {
  const ten = 10 ** Math.floor(Math.log10(n));
  const step = (n / ten < 2 ? 0.2 : n / ten < 5 ? 0.5 : 1) * ten;
  return n > 0 ? Number((Math.ceil(n / step) * step).toPrecision(6)) : 0;
}

/** The front as these two figures see it: what is beaten in both is on it for another figure's sake. */
function stairs(points: [number, number][]): [number, number][] {
  const found: [number, number][] = [];
  for (const one of points.sort((a, b) => a[0] - b[0] || a[1] - b[1])) if (one[1] < (found.at(-1)?.[1] ?? Infinity)) found.push(one);
  return found;
}
