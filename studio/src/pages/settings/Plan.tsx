import { useQuery } from "@tanstack/react-query";
import { get, type Told } from "../../api/client";
import { bytes, count } from "../../lib/format";
import { Bones } from "../../ui/Bones";
import { Card } from "../../ui/Page";
import { Trouble } from "../../ui/Trouble";
import { w } from "../../words";

const words = w.settings.plan;

/** What the tenant may have, and how much of it there is. */
export function Plan() {
  const { data, error } = useQuery({ queryKey: ["plan"], queryFn: ({ signal }) => get<Told["PlanTold"]>("/plan", {}, signal) });
  if (error) return <Trouble error={error} />;
  if (!data) return <Bones rows={4} />;
  return (
    <Card title={words.title(data.name)} className="max-w-2xl">
      <p className="px-4 pt-3 text-mute">{words.told}</p>
      <dl className="p-4 grid gap-4">
        {data.limits.map((one) => <Row key={one.what} limit={one} />)}
      </dl>
    </Card>
  );
}

function Row({ limit }: { limit: Told["Limit"] }) {
  const told = limit.what.endsWith("_bytes") ? bytes : count;
  const part = limit.limit === null ? null : Math.min(1, limit.used / Math.max(limit.limit, 1));
  const full = part !== null && part >= 1;
  return (
    <div>
      <dt className="text-sm font-medium">{words.of[limit.what] ?? limit.words}</dt>
      <dd className="flex items-center gap-3">
        {part !== null && (
          <span className="h-1.5 flex-1 rounded bg-line overflow-hidden" aria-hidden="true">
            <span className={`block h-full ${full ? "bg-bad" : "bg-accent"}`} style={{ width: `${100 * part}%` }} />
          </span>
        )}
        <span className="num text-sm">{limit.limit === null ? words.free(told(limit.used)) : w.of(told(limit.used), told(limit.limit))}{full && ` · ${words.full}`}</span>
      </dd>
    </div>
  );
}
