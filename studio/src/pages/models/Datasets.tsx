import { useDatasets } from "../../api/models";
import { bytes, count } from "../../lib/format";
import { Bones, Empty } from "../../ui/Bones";
import { Button } from "../../ui/Button";
import { Tag } from "../../ui/Sign";
import { Trouble } from "../../ui/Trouble";
import { When } from "../../ui/When";
import { w } from "../../words";
import { Table } from "../../ui/Table";
import { DatasetCare } from "./Care";
import { READY } from "./stages";

export function Datasets({ onUpload }: { onUpload: () => void }) {
  const told = useDatasets();
  if (told.error && !told.data) return <Trouble error={told.error} again={() => void told.refetch()} />;
  if (!told.data) return <Bones rows={4} />;
  if (!told.data.length) return <Empty {...w.models.emptyData}><Button kind="primary" onClick={onUpload}>{w.models.uploadDataset}</Button></Empty>;
  const c = w.models.columns;
  return (
    <Table label={w.models.datasets} head={[c.name, c.state, c.size, c.samples, c.labels, c.made, ""]}>
      {told.data.map((one) => {
        const labels = one.facts?.labels as { kind?: string; classes?: number } | null | undefined;
        return (
          <tr key={one.id}>
            <td className="min-w-32 max-w-96 [overflow-wrap:anywhere]"><span className="font-medium">{one.name}</span><p className="text-mute num text-sm">{one.filename}</p></td>
            <td><Tag level={READY[one.state]}>{w.models.states[one.state]}</Tag>{one.reason && <p className="text-mute">{one.reason}</p>}</td>
            <td className="num whitespace-nowrap">{bytes(one.length)}</td>
            <td className="num">{typeof one.facts?.samples === "number" ? count(one.facts.samples) : ""}</td>
            <td>{labels ? (labels.classes ? w.models.classes(labels.classes) : labels.kind) : ""}</td>
            <td className="text-mute"><When at={one.made} /></td>
            <td><DatasetCare dataset={one} /></td>
          </tr>
        );
      })}
    </Table>
  );
}
