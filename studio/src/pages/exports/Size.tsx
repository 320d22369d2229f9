import type { Artifact, Bundle, Kind } from "../../api/artifacts";
import { bytes } from "../../lib/format";
import { Sign } from "../../ui/Sign";
import { w } from "../../words";

const words = w.exports_;

/** How large it is, against what the platform takes; before it is made, what that is. */
export function Size({ kind, bundle, artifact }: { kind: Kind; bundle: Bundle; artifact: Artifact | undefined }) {
  const limit = kind.limit;
  if (kind.kind === "bundle") return <span className="num">{bytes(bundle.length)}</span>;
  if (!artifact) return <span className="text-mute num">{limit ? words.limitOf(bytes(limit.size_bytes)) : ""}</span>;
  if (!limit) return <span className="num">{bytes(artifact.size_bytes)}</span>;
  const told = (artifact.fits ? words.sizeOf : words.tooLarge)(bytes(artifact.size_bytes), bytes(limit.size_bytes));
  const part = Math.min(1, artifact.size_bytes / limit.size_bytes);
  return (
    <span className="block" title={limit.what}>
      <span className="num flex items-center gap-1.5">{!artifact.fits && <Sign level="bad" />}{told}</span>
      <span className="block h-1 mt-1 rounded-sm bg-line overflow-hidden" aria-hidden="true">
        <svg width="100%" height="4" preserveAspectRatio="none" viewBox="0 0 100 4"><rect width={Math.max(1, 100 * part)} height="4" fill={artifact.fits ? "var(--accent)" : "var(--bad)"} /></svg>
      </span>
    </span>
  );
}
