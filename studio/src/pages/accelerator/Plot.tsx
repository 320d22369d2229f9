import { LineChart, ScatterChart } from "echarts/charts";
import { GridComponent, MarkAreaComponent, MarkLineComponent } from "echarts/components";
import { type EChartsType, init, use } from "echarts/core";
import { CanvasRenderer } from "echarts/renderers";
import { useEffect, useRef } from "react";
import { tokens, useDark } from "../../lib/theme";
import { options, type Scene } from "./options";

use([ScatterChart, LineChart, GridComponent, MarkAreaComponent, MarkLineComponent, CanvasRenderer]);

/** Candidates between two figures; filling up while they are measured. */
export default function Plot({ scene, label, onPoint, onChoose }: { scene: Scene; label: string; onPoint: (id: string) => void; onChoose: (id: string) => void }) {
  const frame = useRef<HTMLDivElement>(null);
  const chart = useRef<EChartsType | null>(null);
  const said = useRef({ onPoint, onChoose });
  said.current = { onPoint, onChoose };
  const dark = useDark();
  useEffect(() => {
    if (!frame.current) return;
    const made = init(frame.current);
    chart.current = made;
    const id = (event: { data?: unknown }) => (event.data as { id?: string } | undefined)?.id ?? "";
    made.on("mouseover", (event) => said.current.onPoint(id(event)));
    made.on("mouseout", () => said.current.onPoint(""));
    made.on("click", (event) => said.current.onChoose(id(event)));
    const watcher = new ResizeObserver(() => made.resize());
    watcher.observe(frame.current);
    return () => {
      watcher.disconnect();
      made.dispose();
      chart.current = null;
    };
  }, []);
  useEffect(() => {
    chart.current?.setOption(options(scene, tokens()), { notMerge: true });
  }, [scene, dark]);
  return <div ref={frame} role="img" aria-label={label} className="absolute inset-0" />;
}
