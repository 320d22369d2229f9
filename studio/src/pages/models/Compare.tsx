import { useMay } from "../../api/account";
import { useComparison, useModels, useTogether } from "../../api/models";
import type { Version } from "../../api/studio";
import { bytes, count } from "../../lib/format";
import { Bones } from "../../ui/Bones";
import { ButtonLink } from "../../ui/Button";
import { IconButton } from "../../ui/Icon";
import { Table } from "../../ui/Table";
import { Trouble } from "../../ui/Trouble";
import { w } from "../../words";
import { Seen } from "./Seen";

/** What else is known of the files is for programs. */
const SHOWN = new Set(["format", "length", "stage", "filename", "signature", "operators"]);
const shows = (what: string) => what.split(".").some((part) => SHOWN.has(part)) || (what.split(".").at(-1) ?? "") in w.models.facts;
const MOST = 60;

/** Versions side by side: what was measured of them in one run, then what differs, then what does not. */
export function Compare({ of, onClose }: { of: string[]; onClose: () => void }) {
  const told = useComparison(of);
  const runs = useTogether(of).data?.runs ?? [];
  const models = useModels();
  const may = useMay();
  const number = (id: string) => told.data?.versions.find((one) => one.id === id)?.number ?? 0;
  const rows = told.data?.rows.filter((row) => shows(row.what)) ?? [];
  // The first is what the others are held against: the oldest, of one model.
  const older = [...of].sort((a, b) => number(a) - number(b));
  const several = new Set(told.data?.versions.map((one) => one.model)).size > 1;
  const called = (one: Version) => `${several ? `${models.data?.items.find((it) => it.id === one.model)?.name ?? ""} ` : ""}${w.models.version(one.number)}`;
  return (
    <section aria-label={w.models.compareTitle} className="space-y-2">
      <div className="flex items-center justify-between"><h2 className="text-base">{w.models.compareTitle}</h2><span className="flex items-center gap-3">{may("benchmarks.write") && <ButtonLink href={`/benchmarks?new=1&${older.map((one) => `subject=${one}`).join("&")}`}>{w.benchmarks.word}</ButtonLink>}<IconButton icon="close" label={w.close} onClick={onClose} /></span></div>
      {told.error && <Trouble error={told.error} />}
      {told.isPending && <Bones rows={6} height={24} />}
      {told.data && (
        <Table label={w.models.compareTitle} head={[runs.length ? "" : w.models.differs, ...told.data.versions.map(called)]}>
          {runs.map((run) => <Seen key={`${run.id} ${run.place}`} run={run} than={called(told.data.versions[0] as Version)} />)}
          {runs.length > 0 && <tr><th scope="rowgroup" colSpan={of.length + 1} className="text-left px-4 pt-4 pb-1 font-medium">{w.models.ofFile}</th></tr>}
          {rows.slice(0, MOST).map((row) => (
            <tr key={row.what} className={row.same ? "text-mute" : ""}>
              <th scope="row" className="text-left font-normal px-4 py-2 align-top">{name(row.what)}</th>
              {row.values.map((one, i) => <td key={i} className="num">{shown(row.what, one)}{!row.same && i > 0 && ratio(row.values[0], one)}</td>)}
            </tr>
          ))}
        </Table>
      )}
    </section>
  );
}

/** What a row is about, in words: facts are about the model, and so are its operators. */
function name(what: string): string {
  const parts = what.split(".");
  const last = parts.at(-1) ?? what;
  if (parts[1] === "operators") return w.models.operators(last);
  return w.models.facts[last] ?? parts.filter((one) => one !== "facts").join(" ").replaceAll("_", " ");
}

type Tensor = { name: string; dtype: string; shape: (number | string | null)[] };

function shown(what: string, one: unknown): string {
  if (typeof one === "number") return what.endsWith("bytes") || what === "length" ? bytes(one) : count(one);
  if (one === null || one === undefined || one === "") return "–";
  if (what.startsWith("signature.")) return (one as Tensor[]).map((it) => `${it.name} ${it.dtype} [${it.shape.map((n) => n ?? "?").join(", ")}]`).join("; ");
  if (what === "stage") return w.models.stages[one as Version["stage"]];
  return typeof one === "string" ? one : JSON.stringify(one);
}

function ratio(first: unknown, one: unknown) {
  if (typeof first !== "number" || typeof one !== "number" || !first || !one || first === one) return null;
  const times = first / one;
  return <span className="text-mute"> {times > 1 ? `÷${times.toFixed(2)}` : `×${(1 / times).toFixed(2)}`}</span>;
}
