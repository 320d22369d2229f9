import { type Profile, ref } from "../../api/profiles";
import { value } from "../../lib/format";
import { w } from "../../words";
import { Table } from "../../ui/Table";
import { origin } from "./ProfilePanel";
import { figure } from "./verdicts";

const words = w.devices;

export function Profiles({ list, chosen, onChoose }: { list: Profile[]; chosen: string; onChoose: (at: string) => void }) {
  const c = words.columns;
  return (
    <Table label={words.tabs.profiles} head={[c.name, c.class, c.cores, c.memory, c.storage, c.engines, c.origin]}>
      {list.map((one) => {
        const figures = one.target.figures;
        return (
          <tr key={ref(one)} className={`hover:bg-line/30 ${ref(one) === chosen ? "bg-line/50" : ""}`}>
            <td className="min-w-56"><button type="button" className="font-medium hover:underline text-left" onClick={() => onChoose(ref(one))}>{one.name}</button><p className="text-mute">{one.title}</p></td>
            <td className="whitespace-nowrap">{one.target.class}</td>
            <td className="num">{figures.cores ? value(figures.cores.value) : ""}</td>
            <td className="num whitespace-nowrap">{figures.ram_model ? figure(figures.ram_model) : ""}</td>
            <td className="num whitespace-nowrap">{figures.storage ? figure(figures.storage) : ""}</td>
            <td className="text-mute">{one.target.engines?.names.join(", ")}</td>
            <td className="text-mute min-w-28">{origin(one)}</td>
          </tr>
        );
      })}
    </Table>
  );
}
