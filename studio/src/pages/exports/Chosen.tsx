import { useMay } from "../../api/account";
import { type Bundle, publicKey } from "../../api/artifacts";
import { bytes, short } from "../../lib/format";
import { ButtonLink } from "../../ui/Button";
import { Tag } from "../../ui/Sign";
import { When } from "../../ui/When";
import { w } from "../../words";

const words = w.exports_;

/** The bundle that is shipped: which, for what, by whom; `bad`: those whose release was taken back. */
export function Chosen({ bundle, list, bad, onChoose }: { bundle: Bundle; list: Bundle[]; bad: Set<string>; onChoose: (digest: string) => void }) {
  const may = useMay();
  const target = String(bundle.evidence.target ?? "") || "–";
  const rows: [string, React.ReactNode][] = [
    [words.facts.target, target === "host" ? words.anyTarget : target],
    [words.facts.engines, [...new Set(bundle.engines)].join(", ")],
    [words.facts.size, <span key="s" className="num">{bytes(bundle.length)}</span>],
    [words.facts.signer, <span key="k" className="num" title={bundle.signed_by}>{short(bundle.signed_by)}</span>],
    [words.facts.released, <Tag key="r" level={bad.has(bundle.digest) ? "bad" : bundle.released ? "good" : "unknown"}>{bad.has(bundle.digest) ? words.takenBack : bundle.released ? words.released : words.unreleased}</Tag>],
    [words.facts.made, <When key="m" at={bundle.made} />],
  ];
  const save = async () => {
    const url = URL.createObjectURL(new Blob([await publicKey(bundle.signer)], { type: "text/plain" }));
    const link = document.createElement("a");
    link.href = url;
    link.download = "signer.pub";
    link.click();
    URL.revokeObjectURL(url);
  };
  return (
    <section aria-label={words.bundle} className="rounded border border-line bg-paper p-4 space-y-4">
      <div className="flex flex-wrap items-end gap-3">
        <label className="block min-w-0 w-full max-w-lg">
          <span className="block text-sm font-medium mb-1">{words.bundle}</span>
          <select value={bundle.digest} onChange={(e) => onChoose(e.target.value)} className="h-8 w-full rounded border border-line bg-paper px-2.5 hover:border-mute">
            {list.map((one) => <option key={one.digest} value={one.digest}>{one.name} {one.version} · {String(one.evidence.target ?? "")} · {short(one.digest)}{bad.has(one.digest) && ` · ${words.takenBack}`}</option>)}
          </select>
        </label>
        {may("benchmarks.write") && <ButtonLink href={`/benchmarks?new=1&subject=${bundle.digest}`}>{w.benchmarks.word}</ButtonLink>}
      </div>
      <dl className="grid gap-x-6 gap-y-3 grid-cols-2 sm:grid-cols-[repeat(auto-fit,minmax(132px,max-content))]">
        {rows.map(([name, told]) => <div key={name}><dt className="text-sm text-mute">{name}</dt><dd>{told}</dd></div>)}
      </dl>
      <p className="text-mute border-t border-line pt-3">{words.signerTold} <button type="button" onClick={() => void save()} className="text-accent hover:underline">{words.signerKey}</button></p>
    </section>
  );
}
