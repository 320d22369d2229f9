import { Link } from "wouter";
import { type Benchmark, open } from "../../api/benchmarks";
import { Tag } from "../../ui/Sign";
import { When } from "../../ui/When";
import { w } from "../../words";
import { Table } from "../../ui/Table";
import { called, letter, STATE } from "./reading";

const words = w.benchmarks;

/** What was measured so far, newest first. */
export function History({ list }: { list: Benchmark[] }) {
  const c = words.columns;
  return (
    <Table label={words.history} head={[c.what, c.where, c.state, c.made]}>
      {list.map((one) => (
        <tr key={one.id} className="hover:bg-line/30">
          <td className="min-w-56">
            <Link href={`/benchmarks/${one.id}`} className="font-medium hover:underline [overflow-wrap:anywhere]">{called(one)}</Link>
            {(one.name || one.subjects.length > 3) && <p className="text-mute [overflow-wrap:anywhere]">{one.subjects.map((it, i) => `${letter(i)} ${it.name}`).join(" · ")}</p>}
          </td>
          <td className="whitespace-nowrap">{places(one)}</td>
          <td className="whitespace-nowrap"><Tag level={STATE[one.state]}>{words.whole[one.state]}</Tag>{one.state === "done" && failed(one) > 0 && <span>, <Tag level="bad">{words.andFailed(failed(one))}</Tag></span>}{one.state === "running" && one.places.length > 1 && <span className="block text-sm text-mute num">{words.progress(one.places.filter((it) => !open(it)).length, one.places.length)}</span>}</td>
          <td className="text-mute"><When at={one.made} /></td>
        </tr>
      ))}
    </Table>
  );
}

function failed(one: Benchmark): number {
  return one.places.filter((it) => it.state === "failed").length;
}

function places(one: Benchmark): React.ReactNode {
  const devices = one.places.filter((it) => it.kind === "device");
  const told = words.places(one.places.length > devices.length, devices.length);
  return <span title={devices.map((it) => it.name).join(", ") || undefined}>{told.charAt(0).toUpperCase() + told.slice(1)}</span>;
}
