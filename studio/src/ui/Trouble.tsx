import { Problem } from "../api/client";
import { w } from "../words";
import { Button } from "./Button";
import { Sign } from "./Sign";

/** What went wrong, by who knows more of it than its answer says. */
export class Said extends Error {
  constructor(readonly happened: string, readonly kept: string, readonly todo: string) {
    super(happened);
  }
}

/** An error as people need it: what happened, what was kept, what to do. */
export function Trouble({ error, again }: { error: unknown; again?: () => void }) {
  const told = explain(error);
  return (
    <div role="alert" className="rounded border border-line bg-paper p-4 flex gap-3 max-w-2xl">
      <span className="h-5 flex items-center"><Sign level="bad" label="" /></span>
      <div className="min-w-0 space-y-1">
        <p className="font-medium break-words">{told.happened}</p>
        {told.where.map((one) => (
          <p key={one.where} className="text-mute"><code>{one.where}</code>: {one.told}</p>
        ))}
        <p className="text-mute">{told.kept}</p>
        {told.todo && <p className="text-mute">{told.todo}</p>}
        {told.id && <p className="text-sm text-mute num break-all">{w.problem.asked(told.id)}</p>}
        {again && <div className="pt-2"><Button onClick={again}>{w.retry}</Button></div>}
      </div>
    </div>
  );
}

function explain(error: unknown): { happened: string; kept: string; todo: string; id: string; where: Problem["where"] } {
  if (error instanceof Said) return { happened: error.happened, kept: error.kept, todo: error.todo, id: "", where: [] };
  if (!(error instanceof Problem)) {
    return { happened: String(error), kept: w.problem.notDone, todo: "", id: "", where: [] };
  }
  if (error.status === 0) return { ...w.problem.unreachable, id: "", where: [] };
  const todo = error.status === 429 || error.status === 503 ? w.problem.wait : error.status >= 500 ? w.problem.hub : "";
  const id = error.status >= 500 ? error.instance.split(":").pop() ?? "" : "";
  return { happened: sentence(error.detail || error.title), kept: w.problem.notDone, todo, id, where: error.where };
}

export function sentence(told: string): string {
  return told.charAt(0).toUpperCase() + told.slice(1) + (/[.?]$/.test(told) ? "" : ".");
}
