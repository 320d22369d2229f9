import { useInfiniteQuery } from "@tanstack/react-query";
import { get, type Page, type Told } from "../../api/client";
import { short } from "../../lib/format";
import { useParam } from "../../lib/url";
import { Bones } from "../../ui/Bones";
import { Button } from "../../ui/Button";
import { Tag } from "../../ui/Sign";
import { Trouble } from "../../ui/Trouble";
import { When } from "../../ui/When";
import { w } from "../../words";

/** The same devices as a list, by name. */
export function DeviceList({ selected, onSelect }: { selected: string; onSelect: (device: string) => void }) {
  const [q, setQ] = useParam("q");
  const list = useInfiniteQuery({
    queryKey: ["devices", "list", q],
    queryFn: ({ pageParam, signal }) => get<Page<Told["DeviceTold"]>>("/devices", { q, limit: 50, cursor: pageParam }, signal),
    initialPageParam: "",
    getNextPageParam: (page) => page.next ?? undefined,
    placeholderData: (before) => before,
    refetchInterval: 15_000,
  });
  const rows = list.data?.pages.flatMap((page) => page.items) ?? [];
  return (
    <div className="space-y-3">
      <input value={q} onChange={(event) => setQ(event.target.value)} placeholder={w.fleet.list.filter} aria-label={w.fleet.list.filter} className="h-8 w-64 max-w-full rounded border border-line bg-paper px-2.5" />
      {list.error && <Trouble error={list.error} again={() => void list.refetch()} />}
      {list.isPending && <Bones rows={8} height={28} />}
      {list.data && !rows.length && <p className="text-mute">{w.fleet.list.none}</p>}
      {rows.length > 0 && (
        <div className="relative overflow-x-auto goes-on rounded border border-line bg-paper" tabIndex={0} role="region" aria-label={w.fleet.title}>
          <table className="w-full">
            <thead className="text-left text-sm text-mute">
              <tr>{[w.fleet.list.name, w.fleet.list.group, w.fleet.list.state, w.fleet.list.runs, w.fleet.list.update].map((one) => <th key={one} scope="col" className="font-medium px-4 h-9">{one}</th>)}</tr>
            </thead>
            <tbody>
              {rows.map((one) => (
                <tr key={one.name} className={`border-t border-line hover:bg-line/30 ${one.name === selected ? "bg-line/50" : ""}`}>
                  <td className="px-4 h-9"><button type="button" className="num hover:underline text-left" onClick={() => onSelect(one.name)}>{one.name}</button></td>
                  <td className="px-4 whitespace-nowrap">{one.group || "–"}</td>
                  <td className="px-4"><Tag level={one.revoked ? "unknown" : one.online ? "good" : "unknown"}><When at={one.seen} /></Tag></td>
                  <td className="px-4 num" title={one.current}>{short(one.current) || "–"}</td>
                  <td className="px-4 text-mute">{one.state || "–"}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      {list.hasNextPage && <Button onClick={() => void list.fetchNextPage()} disabled={list.isFetchingNextPage}>{w.more}</Button>}
    </div>
  );
}
