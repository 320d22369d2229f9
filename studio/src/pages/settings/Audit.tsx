import { useInfiniteQuery } from "@tanstack/react-query";
import { get, type Page, type Told } from "../../api/client";
import { short } from "../../lib/format";
import { useParam } from "../../lib/url";
import { Bones } from "../../ui/Bones";
import { Button } from "../../ui/Button";
import { Trouble } from "../../ui/Trouble";
import { When } from "../../ui/When";
import { w } from "../../words";
import { Table } from "../../ui/Table";

const words = w.settings.audit;

/** The log of every change, newest first; a line opens into all that it holds. */
export function Audit() {
  const [line, setLine] = useParam("line");
  const log = useInfiniteQuery({
    queryKey: ["audit"],
    queryFn: ({ pageParam, signal }) => get<Page<Told["Line"]>>("/audit", { limit: 50, cursor: pageParam }, signal),
    initialPageParam: "",
    getNextPageParam: (page) => page.next ?? undefined,
  });
  const rows = log.data?.pages.flatMap((page) => page.items) ?? [];
  const who = (one: Told["Line"]) => String(one.actor.name || one.actor.kind || "");
  return (
    <div className="space-y-4 max-w-5xl">
      <div className="flex flex-wrap items-center gap-x-4 gap-y-2 justify-between">
        <p className="text-mute">{words.told}</p>
        <span className="flex gap-4">
          <a className="text-accent hover:underline" href="/api/edge/audit/export" download="audit.ndjson">{words.export}</a>
          <a className="text-accent hover:underline" href="/api/edge/audit/head" download="head.json" title={words.headTold}>{words.head}</a>
        </span>
      </div>
      {log.error && <Trouble error={log.error} again={() => void log.refetch()} />}
      {log.isPending && <Bones rows={10} />}
      {rows.length > 0 && (
        <Table label={w.settings.tabs.audit} head={[words.line, words.when, words.who, words.what, words.subject, words.digest]}>
          {rows.map((one) => {
            const open = line === String(one.number);
            return [
              <tr key={one.number} className={open ? "bg-line/40" : ""}>
                <td className="num"><button type="button" className="hover:underline" aria-expanded={open} onClick={() => setLine(open ? "" : String(one.number))}>{one.number}</button></td>
                <td className="text-mute"><When at={one.at} /></td><td>{who(one)}</td><td className="num">{one.action}</td>
                <td className="num max-w-60 truncate" title={one.subject}>{one.subject}</td><td className="num text-mute">{short(one.digest)}</td>
              </tr>,
              open && (
                <tr key={`${one.number}+`} className="bg-line/20">
                  <td colSpan={6}><pre className="num text-sm whitespace-pre-wrap break-all">{JSON.stringify({ ...one.detail, request: one.request, subject: one.subject, digest: one.digest }, null, 2)}</pre></td>
                </tr>
              ),
            ];
          })}
        </Table>
      )}
      {log.hasNextPage && <Button onClick={() => void log.fetchNextPage()} disabled={log.isFetchingNextPage}>{w.more}</Button>}
    </div>
  );
}
