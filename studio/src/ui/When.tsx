import { span } from "../lib/format";
import { useNow } from "../lib/clock";
import { w } from "../words";

const EXACT = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "medium" });

/** A moment (RFC 3339, or s since 1970) as people say it; exactly on hover. */
export function When({ at }: { at: string | number | null | undefined }) {
  const now = useNow();
  if (at === null || at === undefined) return <span className="text-mute">{w.never}</span>;
  const moment = typeof at === "number" ? new Date(at * 1000) : new Date(at);
  const seconds = (now - moment.getTime()) / 1000;
  const told = Math.abs(seconds) < 5 ? w.now : seconds > 0 ? w.ago(span(seconds)) : w.in(span(-seconds));
  return (
    <time dateTime={moment.toISOString()} title={EXACT.format(moment)} className="whitespace-nowrap">
      {told}
    </time>
  );
}
