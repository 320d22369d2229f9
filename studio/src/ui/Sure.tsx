import { useMutation } from "@tanstack/react-query";
import { w } from "../words";
import { Button } from "./Button";
import { Dialog } from "./Dialog";
import { Trouble } from "./Trouble";

/** Asks before something is done that touches others: says what, by count and name. */
export function Sure({ title, told, action, danger = false, onClose, work }: { title: string; told: string; action: string; danger?: boolean; onClose: () => void; work: () => Promise<unknown> }) {
  const doing = useMutation({ mutationFn: work, onSuccess: onClose });
  return (
    <Dialog title={title} onClose={onClose}>
      <p className="text-mute mb-5">{told}</p>
      {doing.error && <div className="mb-4"><Trouble error={doing.error} /></div>}
      <div className="flex justify-end gap-2">
        <Button onClick={onClose}>{w.cancel}</Button>
        <Button kind={danger ? "danger" : "primary"} disabled={doing.isPending} onClick={() => doing.mutate()}>{action}</Button>
      </div>
    </Dialog>
  );
}
