import { useEffect, useRef } from "react";
import type { UseQueryResult } from "@tanstack/react-query";
import { type Fit, type Profile, ref } from "../../api/profiles";
import type { Model } from "../../api/studio";
import { Problem } from "../../api/client";
import { Tag } from "../../ui/Sign";
import { w } from "../../words";
import { LEVEL, ms, predicted, reason } from "./verdicts";

const words = w.devices;
type Row = UseQueryResult<Record<string, Fit>>;
type Props = { groups: [string, Profile[]][]; models: Model[]; fits: Row[]; version: string; profile: string; onCell: (version: string, profile: string) => void };

/** Models across, devices down. The verdict is a shape and a word, the reason stands in the cell. */
export function Matrix({ groups, models, fits, version, profile, onCell }: Props) {
  return (
    <div className="relative overflow-auto rounded border border-line bg-paper max-h-[calc(100dvh-168px)]" tabIndex={0} role="region" aria-label={words.matrix}>
      <table className="w-full border-separate border-spacing-0 [&_th]:font-normal [&_th]:text-left">
        <caption className="sr-only">{words.matrix}</caption>
        <thead>
          <tr>
            <th scope="col" className="sticky top-0 left-0 z-20 bg-paper border-b border-line px-4 py-2 align-bottom text-sm text-mute min-w-36 md:min-w-64">{words.device}</th>
            {models.map((one, i) => (
              <th key={one.id} scope="col" className="sticky top-0 z-10 bg-paper border-b border-l border-line px-4 py-2 align-bottom min-w-44">
                <span className="font-semibold block truncate max-w-56" title={one.name}>{one.name}</span>
                <span className="text-sm text-mute block">{summary(one, fits[i])}</span>
              </th>
            ))}
          </tr>
        </thead>
        {groups.map(([name, some]) => (
          <tbody key={name} className="[&:last-child>tr:last-child>*]:border-b-0">
            <tr><th scope="rowgroup" colSpan={models.length + 1} className="bg-ground border-b border-line p-0"><span className="sticky left-0 inline-block px-4 py-1 text-sm text-mute">{name}</span></th></tr>
            {some.map((one) => (
              <tr key={ref(one)} className="[&>*]:border-b [&>*]:border-line">
                <th scope="row" className={`sticky left-0 z-10 bg-paper p-0 align-top ${profile === ref(one) && !version ? "shadow-[inset_2px_0_var(--accent)]" : ""}`}>
                  <button type="button" aria-pressed={profile === ref(one) && !version} onClick={() => onCell("", ref(one))} className="w-full text-left px-4 py-2 hover:bg-line/30">
                    <span className="font-medium block">{one.name}</span>
                    <span className="text-sm text-mute hidden md:block">{one.title}</span>
                  </button>
                </th>
                {models.map((model, i) => (
                  <td key={model.id} className="p-0 border-l border-line align-top h-px">
                    <Cell row={fits[i]} at={ref(one)} on={version === model.newest?.id && profile === ref(one)} told={`${model.name}, ${one.name}`} onOpen={() => onCell(model.newest?.id ?? "", ref(one))} />
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        ))}
      </table>
    </div>
  );
}

function Cell({ row, at, on, told, onOpen }: { row: Row | undefined; at: string; on: boolean; told: string; onOpen: () => void }) {
  const seen = useRef<HTMLButtonElement>(null);
  // What the panel tells of stays in sight when the panel takes its room.
  useEffect(() => { if (on) seen.current?.scrollIntoView({ block: "nearest", inline: "nearest" }); }, [on]);
  if (row?.error) return <span className="block px-4 py-2 text-mute">–</span>;
  const fit = row?.data?.[at];
  if (!fit) return <span className="block px-4 py-2.5 h-14" aria-hidden="true"><span className="block h-3 w-16 rounded bg-line/60 animate-pulse" /></span>;
  const latency = predicted(fit.latency);
  return (
    <button ref={seen} type="button" aria-pressed={on} onClick={onOpen} className={`w-full h-full text-left px-4 py-2 scroll-ml-40 md:scroll-ml-72 scroll-mt-24 flex flex-col hover:bg-line/30 ${on ? "bg-line/50 shadow-[inset_2px_0_var(--accent)]" : ""}`}>
      <span className="sr-only">{told}:</span>
      <span className="w-full flex items-baseline justify-between gap-3">
        <Tag level={LEVEL[fit.verdict]}>{words.verdicts[fit.verdict]}</Tag>
        {latency && fit.verdict !== "does not fit" && <span className="num whitespace-nowrap" title={`${words.predicted}, ${latency.low === null || latency.high === null ? "" : `${ms(latency.low)} – ${ms(latency.high)}`}`}>≈ {ms(latency.value)}</span>}
      </span>
      <span className="text-sm text-mute line-clamp-2 max-w-64" title={fit.problems[0]}>{reason(fit)}</span>
    </button>
  );
}

function summary(model: Model, row: Row | undefined): string {
  if (row?.error) return row.error instanceof Problem ? row.error.detail : String(row.error);
  if (!row?.data) return words.asking;
  const all = Object.values(row.data);
  const of = (verdict: Fit["verdict"]) => all.filter((one) => one.verdict === verdict).length;
  return `${w.models.version(model.newest?.number ?? 0)}: ${words.counts(of("fits"), of("tight"), of("does not fit"))}`;
}
