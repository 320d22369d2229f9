import { useMay } from "../../api/account";
import { useModels } from "../../api/models";
import type { Model } from "../../api/studio";
import { bytes, count } from "../../lib/format";
import { useParam } from "../../lib/url";
import { Bones, Empty } from "../../ui/Bones";
import { Button } from "../../ui/Button";
import { Segments } from "../../ui/Field";
import { Page } from "../../ui/Page";
import { Tag } from "../../ui/Sign";
import { Trouble } from "../../ui/Trouble";
import { When } from "../../ui/When";
import { w } from "../../words";
import { Table } from "../../ui/Table";
import { Compare } from "./Compare";
import { Datasets } from "./Datasets";
import { ModelPanel } from "./ModelPanel";
import { fact, READY, STAGE } from "./stages";
import { UploadDialog } from "./UploadDialog";

/** More of them than this are searched. */
const FEW = 12;

export default function Models() {
  const [tab, setTab] = useParam("tab", "models");
  const [chosen, setChosen] = useParam("model");
  const [compare, setCompare] = useParam("compare");
  const [upload, setUpload] = useParam("upload");
  const may = useMay();
  const [q, setQ] = useParam("q");
  const models = useModels(q.trim());
  const list = models.data?.items;
  const versions = compare ? compare.split(",") : [];
  return (
    <Page
      title={w.models.title} told={w.models.question}
      panel={chosen && tab === "models" ? <ModelPanel key={chosen} id={chosen} compare={versions} onCompare={(next) => setCompare(next.join(","))} onUpload={() => setUpload("version")} onClose={() => setChosen("")} /> : undefined}
      action={
        <>
          <Segments label={w.models.title} value={tab} onChange={setTab} options={[["models", w.models.tabs.models], ["datasets", w.models.tabs.datasets]]} />
          {may("models.write") && <Button kind="primary" onClick={() => setUpload(tab === "models" ? "model" : "dataset")}>{tab === "models" ? w.models.upload : w.models.uploadDataset}</Button>}
        </>
      }
    >
      {models.error !== null && !list && <Trouble error={models.error} again={() => void models.refetch()} />}
      {tab === "datasets" ? <Datasets onUpload={() => setUpload("dataset")} /> : (
        <div className="space-y-4">
          {versions.length > 1 && <Compare of={versions} onClose={() => setCompare("")} />}
          {!list && !models.error && <Bones rows={6} />}
          {(q || (list && list.length > FEW)) && <input type="search" value={q} onChange={(event) => setQ(event.target.value)} placeholder={w.models.search} aria-label={w.models.search} className="h-8 w-64 max-w-full rounded border border-line bg-paper px-2.5 hover:border-mute" />}
          {list && !list.length && q && <p className="text-mute">{w.shell.searchNothing(q)}</p>}
          {list && !list.length && !q && <Empty {...w.models.empty}>{may("models.write") && <Button kind="primary" onClick={() => setUpload("model")}>{w.models.upload}</Button>}</Empty>}
          {list && list.length > 0 && <Rows list={list} chosen={chosen} onChoose={setChosen} />}
          {models.data?.next && <p className="text-mute">{w.models.cut(count(models.data.items.length))}</p>}
        </div>
      )}
      {upload && <UploadDialog kind={upload === "dataset" ? "dataset" : "model"} of={upload === "version" ? chosen : ""} onClose={(made) => { setUpload(""); if (made) setChosen(made); }} />}
    </Page>
  );
}

function Rows({ list, chosen, onChoose }: { list: Model[]; chosen: string; onChoose: (id: string) => void }) {
  const c = w.models.columns;
  return (
    <Table label={w.models.title} head={[c.name, c.newest, c.stage, c.size, c.parameters, c.versions, c.made]}>
      {list.map((one) => {
        const parameters = fact(one.newest, "parameters");
        return (
          <tr key={one.id} className={`hover:bg-line/30 ${one.id === chosen ? "bg-line/50" : ""}`}>
            <td className="min-w-32 max-w-96 [overflow-wrap:anywhere]"><button type="button" className="font-medium hover:underline text-left [overflow-wrap:anywhere]" onClick={() => onChoose(one.id)}>{one.name}</button>{one.description && <p className="text-mute">{one.description}</p>}</td>
            <td>{one.newest ? <Tag level={READY[one.newest.state]}>{w.models.version(one.newest.number)}{one.newest.state !== "ready" && `, ${w.models.states[one.newest.state]}`}</Tag> : <span className="text-mute">–</span>}</td>
            <td>{one.newest && one.newest.state === "ready" ? <Tag level={STAGE[one.newest.stage]}>{w.models.stages[one.newest.stage]}</Tag> : ""}</td>
            <td className="num whitespace-nowrap">{one.newest ? bytes(one.newest.length) : ""}</td>
            <td className="num">{parameters === null ? "" : count(parameters)}</td>
            <td className="num">{one.versions}</td>
            <td className="text-mute"><When at={one.newest?.made ?? one.made} /></td>
          </tr>
        );
      })}
    </Table>
  );
}
