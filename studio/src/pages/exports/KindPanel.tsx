import { useMutation, useQueryClient } from "@tanstack/react-query";
import { type Artifact, build, type Bundle, type Kind } from "../../api/artifacts";
import { send, type Told } from "../../api/client";
import { bytes, short } from "../../lib/format";
import { Button } from "../../ui/Button";
import { Copy } from "../../ui/Copy";
import { Facts, Panel, Part } from "../../ui/Panel";
import { Tag } from "../../ui/Sign";
import { Trouble } from "../../ui/Trouble";
import { When } from "../../ui/When";
import { w } from "../../words";
import { command, sentence } from "./making";
import { Make } from "./Make";
import { Size } from "./Size";

const words = w.exports_;
type Props = {
  kind: Kind; bundle: Bundle; artifact: Artifact | undefined; since: number; allowed: boolean; failure: unknown;
  onBuild: (kind: Kind) => void; onRemove: (artifact: Artifact) => void; onClose: () => void;
};

/** One kind: what it is, what was ever run of it, the command that makes it, and the file once it is made. */
export function KindPanel({ kind, bundle, artifact, since, allowed, failure, onBuild, onRemove, onClose }: Props) {
  const line = command(kind, bundle);
  return (
    <Panel title={sentence(kind.title)} above={<span className="num">{kind.kind}</span>} onClose={onClose}>
      {failure !== null && failure !== undefined && <Trouble error={failure} />}
      <div className="flex items-center gap-3">
        <Make kind={kind} bundle={bundle} artifact={artifact} since={since} allowed={allowed} primary onBuild={onBuild} />
        {artifact && allowed && <Button kind="quiet" onClick={() => onRemove(artifact)}>{words.remove}</Button>}
      </div>
      {artifact && (
        <Facts rows={[
          [words.file, <span key="f" className="break-all">{artifact.filename}</span>],
          [words.size, <Size key="s" kind={kind} bundle={bundle} artifact={artifact} />],
          [words.unpacked, words.files(artifact.files)],
          [words.facts.digest, <span key="d" className="num" title={artifact.file}>{short(artifact.file)}</span>],
          [words.made, <When key="m" at={artifact.made} />], [words.expires, <When key="e" at={artifact.until} />],
        ]} />
      )}
      {line && (
        <Part title={kind.kind === "bundle" ? words.take : words.command}>
          <Copy text={line} label={words.command} />
          <p className="text-sm text-mute">{words.commandTold}</p>
        </Part>
      )}
      <div className="space-y-3">
        {kind.tested && <div><Tag level="good"><span className="font-medium">{words.verifiedTold}</span></Tag><Told text={kind.tested} /></div>}
        {kind.untested && <div><Tag level="unknown"><span className="font-medium">{words.unverifiedTold}</span></Tag><Told text={kind.untested} /></div>}
      </div>
      <Facts rows={[
        [words.needs, sentence(kind.needs)],
        ...(kind.limit ? [[words.limit, <Limit key="l" limit={kind.limit} />] as [string, React.ReactNode]] : []),
      ]} />
      {(artifact || kind.kind === "bundle") && <Share artifact={artifact} make={() => build(kind, bundle.digest, "")} />}
    </Panel>
  );
}

/** A sentence with what stands between backticks as code. */
function Told({ text }: { text: string }) {
  return <p className="text-mute">{sentence(text).split("`").map((part, i) => (i % 2 ? <code key={i}>{part}</code> : part))}</p>;
}

function Limit({ limit }: { limit: NonNullable<Kind["limit"]> }) {
  return <><span className="num">{bytes(limit.size_bytes)}</span>: {limit.what}. <a href={limit.source} rel="noreferrer" target="_blank" className="text-accent underline">{words.source}</a></>;
}

function Share({ artifact, make }: { artifact: Artifact | undefined; make: () => Promise<Artifact> }) {
  const client = useQueryClient();
  const link = useMutation({
    mutationFn: async (hours: number) => send<Told["Link"]>("POST", `/artifacts/${(artifact ?? (await make())).id}/link`, { hours }),
    onSuccess: () => client.invalidateQueries({ queryKey: ["artifacts", "list"] }),
  });
  return (
    <Part title={words.share}>
      <p className="text-mute">{words.shareTold}</p>
      {link.error && <Trouble error={link.error} />}
      {link.data && (!artifact || link.data.url.includes(artifact.id)) ? <><Copy text={link.data.url} label={words.share} /><p className="text-sm text-mute">{words.linkEnds} <When at={link.data.until} /></p></>
        : <div className="flex flex-wrap gap-2">{[24, 168].map((hours) => <Button key={hours} disabled={link.isPending} onClick={() => link.mutate(hours)}>{words.link(hours)}</Button>)}</div>}
    </Part>
  );
}
