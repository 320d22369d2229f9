import { type Artifact, place } from "../../api/artifacts";
import { bytes } from "../../lib/format";
import { Tag } from "../../ui/Sign";
import { When } from "../../ui/When";
import { w } from "../../words";
import { Table } from "../../ui/Table";

const words = w.exports_;

export function History({ list, onOpen }: { list: Artifact[]; onOpen: (one: Artifact) => void }) {
  return (
    <section aria-labelledby="history" className="space-y-2">
      <h2 id="history" className="text-sm text-mute font-medium">{words.history}</h2>
      {!list.length && <p className="text-mute">{words.historyNone}</p>}
      {list.length > 0 && (
        <Table label={words.history} head={[words.file, words.what, words.size, "", words.made, words.expires]}>
          {list.map((one) => (
            <tr key={one.id} className="hover:bg-line/30">
              <td><a href={place(one)} download={one.filename} className="font-medium hover:underline break-all">{one.filename}</a></td>
              <td><button type="button" className="num hover:underline" onClick={() => onOpen(one)}>{one.kind}</button></td>
              <td className="num whitespace-nowrap">{bytes(one.length)}</td>
              <td><Tag level={one.verified ? "good" : "unknown"}>{one.verified ? words.verified : words.unverified}</Tag></td>
              <td className="text-mute"><When at={one.made} /></td>
              <td className="text-mute"><When at={one.until} /></td>
            </tr>
          ))}
        </Table>
      )}
    </section>
  );
}
