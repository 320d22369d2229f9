import { useMutation } from "@tanstack/react-query";
import { useState } from "react";
import { send, type Told } from "../../api/client";
import { Button } from "../../ui/Button";
import { Copy } from "../../ui/Copy";
import { Dialog } from "../../ui/Dialog";
import { Field } from "../../ui/Field";
import { Trouble } from "../../ui/Trouble";
import { w } from "../../words";

const words = w.fleet.enrolment;

/** A token for one device, and the command that uses it. */
export function Enrol({ onClose }: { onClose: () => void }) {
  const [group, setGroup] = useState("");
  const [device, setDevice] = useState("");
  const make = useMutation({ mutationFn: () => send<Told["EnrolmentMade"]>("POST", "/enrolments", { group, device, hours: 24 }) });
  return (
    <Dialog title={words.title} onClose={onClose} wide={make.isSuccess} keeps={make.isSuccess}>
      {make.data ? (
        <div className="space-y-4">
          <p className="text-mute">{words.command}</p>
          <Copy label={words.command} text={`edgewright agent enrol --hub ${make.data.url} --token ${make.data.token} --state /var/lib/edgewright`} />
          <Copy text="edgewright agent run --state /var/lib/edgewright" />
          <p className="text-mute">{words.once}</p>
          <div className="flex justify-end gap-2"><Button onClick={() => make.reset()}>{words.another}</Button><Button kind="primary" onClick={onClose}>{w.close}</Button></div>
        </div>
      ) : (
        <form className="space-y-4" onSubmit={(event) => { event.preventDefault(); make.mutate(); }}>
          <p className="text-mute">{words.told}</p>
          <Field label={words.group} hint={words.groupHint} value={group} onChange={(e) => setGroup(e.target.value)} autoFocus />
          <Field label={words.name} hint={words.nameHint} value={device} onChange={(e) => setDevice(e.target.value)} />
          {make.error && <Trouble error={make.error} />}
          <div className="flex justify-end"><Button kind="primary" type="submit" disabled={make.isPending}>{words.submit}</Button></div>
        </form>
      )}
    </Dialog>
  );
}
