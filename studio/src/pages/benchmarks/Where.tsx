import { useState } from "react";
import { useWorkers } from "../../api/benchmarks";
import type { Told } from "../../api/client";
import { useFound } from "../../api/fleet";
import { count } from "../../lib/format";
import { Choice } from "../../ui/Field";
import { Icon } from "../../ui/Icon";
import { Sign } from "../../ui/Sign";
import { Trouble } from "../../ui/Trouble";
import { w } from "../../words";
import type { Asked } from "./asking";

const words = w.benchmarks.ask;
type Props = {
  hub: boolean; group: string; groups: Told["GroupTold"][] | undefined; devices: Asked[];
  onHub: (on: boolean) => void; onGroup: (name: string) => void; onDevices: (names: string[]) => void;
};

/** The hub's worker, a group, devices by name; any of them together. */
export function Where({ hub, group, groups, devices, onHub, onGroup, onDevices }: Props) {
  const workers = useWorkers();
  const live = workers.data?.items.filter((one) => one.state === "live") ?? [];
  const hosts = [...new Set(live.map((one) => one.host))];
  return (
    <div className="p-4 space-y-4">
      <label className="flex gap-2.5">
        <input type="checkbox" checked={hub} onChange={(event) => onHub(event.target.checked)} className="mt-1" />
        <span><span className="font-medium">{words.hub}</span><span className="block text-sm text-mute min-h-4">{workers.data ? (hosts.length ? words.hubTold(hosts.join(", ")) : words.noWorker) : ""}</span></span>
      </label>
      {groups && groups.length > 0 && (
        <Choice label={words.group} value={group} onChange={(event) => onGroup(event.target.value)}>
          <option value="">{words.noGroup}</option>
          {group && !groups.some((one) => one.name === group) && <option value={group}>{group}</option>}
          {groups.map((one) => <option key={one.name} value={one.name}>{words.inGroup(one.name, count(one.devices), count(one.online))}</option>)}
        </Choice>
      )}
      <Devices list={devices} onChange={onDevices} />
    </div>
  );
}

function Devices({ list, onChange }: { list: Asked[]; onChange: (names: string[]) => void }) {
  const [text, setText] = useState("");
  const found = useFound(text.trim());
  const names = list.map((one) => one.name);
  const rows = (found.data?.items ?? []).filter((one) => !one.revoked);
  return (
    <fieldset className="space-y-2 min-w-0">
      <legend className="text-sm font-medium mb-1">{words.devices}</legend>
      {list.length > 0 && (
        <ul className="flex flex-wrap gap-1.5">
          {list.map((one) => (
            <li key={one.name} className="inline-flex items-center gap-1.5 rounded border border-line pl-2 h-7">
              {one.trouble ? <Sign level="bad" label={one.trouble} /> : one.device && !one.device.online && <Sign level="unknown" label={words.offline} />}
              <span className="num" title={one.device && !one.device.online ? words.offlineTold : undefined}>{one.name}</span>
              <button type="button" aria-label={words.remove(one.name)} title={words.remove(one.name)} onClick={() => onChange(names.filter((it) => it !== one.name))} className="size-6 grid place-items-center text-mute hover:text-ink"><Icon name="close" size={12} /></button>
            </li>
          ))}
        </ul>
      )}
      <input type="search" value={text} onChange={(event) => setText(event.target.value)} onKeyDown={(event) => { if (event.key === "Enter") event.preventDefault(); }} placeholder={words.searchDevices} aria-label={words.searchDevices} className="h-8 w-full rounded border border-line bg-paper px-2.5 hover:border-mute" />
      {found.error && !found.data && <Trouble error={found.error} />}
      {found.data && !rows.length && <p className="text-mute">{text.trim() ? words.noDevice(text.trim()) : words.noDevices}</p>}
      <ul className="relative max-h-56 overflow-y-auto -mx-2" tabIndex={rows.length > 6 ? 0 : undefined} aria-label={words.devices}>
        {rows.map((one) => (
          <li key={one.name}>
            <label className="flex items-center gap-2.5 rounded px-2 h-8 cursor-pointer hover:bg-line/30">
              <input type="checkbox" checked={names.includes(one.name)} onChange={(event) => onChange(event.target.checked ? [...names, one.name] : names.filter((it) => it !== one.name))} />
              <span className="num truncate">{one.name}</span>
              <span className="ml-auto text-sm text-mute truncate">{[one.group, one.online ? "" : words.offline].filter(Boolean).join(" · ")}</span>
              <Sign level={one.online ? "good" : "unknown"} label={one.online ? words.online : ""} />
            </label>
          </li>
        ))}
      </ul>
      {found.data?.next && <p className="text-sm text-mute">{words.moreDevices}</p>}
    </fieldset>
  );
}
