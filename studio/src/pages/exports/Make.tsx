import { type Artifact, type Bundle, type Kind, place, wholeBundle } from "../../api/artifacts";
import { useNow } from "../../lib/clock";
import { span } from "../../lib/format";
import { Button } from "../../ui/Button";
import { w } from "../../words";
import { packed } from "./making";

const words = w.exports_;

/** Build it; while that goes on, for how long; then take it. */
export function Make({ kind, bundle, artifact, since, allowed, primary = false, onBuild }: { kind: Kind; bundle: Bundle; artifact: Artifact | undefined; since: number; allowed: boolean; primary?: boolean; onBuild: (kind: Kind) => void }) {
  if (artifact || kind.kind === "bundle") {
    const name = artifact?.filename ?? packed(bundle);
    return (
      <a
        href={artifact ? place(artifact) : wholeBundle(bundle)} download={name} aria-label={`${words.download} ${name}`}
        className={`inline-flex items-center justify-center h-8 px-3 rounded border font-medium whitespace-nowrap ${primary ? "bg-fill text-on-fill border-transparent hover:brightness-110" : "bg-paper border-line hover:border-mute"}`}
      >
        {words.download}
      </a>
    );
  }
  if (since) return <Building since={since} />;
  return <Button kind={primary ? "primary" : "plain"} disabled={!allowed} aria-label={`${words.build} ${kind.kind}`} onClick={() => onBuild(kind)}>{words.build}</Button>;
}

function Building({ since }: { since: number }) {
  const now = useNow();
  return (
    <span role="status" className="block min-w-28 text-sm text-mute">
      <span className="num">{words.building(span(Math.max(0, (now - since) / 1000)))}</span>
      <span className="block h-1 mt-1 rounded-sm bg-line overflow-hidden" aria-hidden="true"><span className="block h-full w-1/2 bg-accent animate-pulse" /></span>
    </span>
  );
}
