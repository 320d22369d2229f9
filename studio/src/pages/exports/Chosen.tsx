import { type Bundle, publicKey } from "../../api/artifacts";
import { bytes, short } from "../../lib/format";
import { Tag } from "../../ui/Sign";
import { When } from "../../ui/When";
import { w } from "../../words";

const words = w.exports_;

/** The bundle that is shipped: which, for what, by whom. */
export function Chosen({ bundle, list, onChoose }: { bundle: Bundle; list: Bundle[]; onChoose: (digest: string) => void }) {
  const target = String(bundle.evidence.target ?? "") || "–";
  const rows: [string, React.ReactNode][] = [
    [words.facts.target, target === "host" ? words.anyTarget : target],
    [words.facts.engines, [...new Set(bundle.engines)].join(", ")],
    [words.facts.size, <span key="s" className="num">{bytes(bundle.length)}</span>],
    [words.facts.signer, <span key="k" className="num" title={bundle.signer}>{short(bundle.signer)}</span>],
    [words.facts.released, <Tag key="r" level={bundle.released ? "good" : "unknown"}>{bundle.released ? words.released : words.unreleased}</Tag>],
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
    <section aria-label={words.bundle} className="rounded border border-line bg-paper p-4 flex flex-wrap gap-x-8 gap-y-3 items-end">
      <label className="block w-full md:w-72">
        <span className="block text-sm font-medium mb-1">{words.bundle}</span>
        <select value={bundle.digest} onChange={(e) => onChoose(e.target.value)} className="h-8 w-full rounded border border-line bg-paper px-2.5 hover:border-mute">
          {list.map((one) => <option key={one.digest} value={one.digest}>{one.name} {one.version} · {String(one.evidence.target ?? "")} · {short(one.digest)}</option>)}
        </select>
      </label>
      <dl className="flex flex-wrap gap-x-8 gap-y-3">
        {rows.map(([name, told]) => <div key={name}><dt className="text-sm text-mute">{name}</dt><dd className="whitespace-nowrap">{told}</dd></div>)}
      </dl>
      <button type="button" title={words.signerTold} onClick={() => void save()} className="text-accent hover:underline">{words.signerKey}</button>
    </section>
  );
}
