import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { all, send, type Told } from "../../api/client";
import { count, short } from "../../lib/format";
import { useGo } from "../../lib/url";
import { Button, ButtonLink } from "../../ui/Button";
import { Dialog } from "../../ui/Dialog";
import { Choice, Field } from "../../ui/Field";
import { Trouble } from "../../ui/Trouble";
import { w } from "../../words";

const words = w.studio.releaseTo;

/** From a finished search to the line: the bundle in waves, to a group. */
export function Release({ bundle, called, onClose }: { bundle: string; called: string; onClose: () => void }) {
  const client = useQueryClient();
  const go = useGo();
  const groups = useQuery({ queryKey: ["groups"], queryFn: () => all<Told["GroupTold"]>("/groups") });
  const [name, setName] = useState(`${called || "model"}-${short(bundle).slice(0, 6)}`);
  const [group, setGroup] = useState("");
  const [waves, setWaves] = useState("1,10,50,100");
  const [soak, setSoak] = useState(10);
  const release = useMutation({
    mutationFn: () => send<Told["RolloutShown"]>("POST", "/rollouts", { name, bundles: [bundle], group, waves, soak_s: 60 * soak }),
    onSuccess: async (made) => {
      await client.invalidateQueries({ queryKey: ["rollouts"] });
      go(`/fleet?by=rollout&rollout=${made.id}`);
    },
  });
  const devices = groups.data?.reduce((sum, one) => sum + one.devices, 0) ?? 0;
  return (
    <Dialog title={w.studio.release} onClose={onClose}>
      {groups.data && devices === 0 ? (
        <div className="space-y-4"><p>{words.nobody}</p><ButtonLink kind="primary" href="/fleet?enrol=1">{w.fleet.enrol}</ButtonLink></div>
      ) : (
        <form className="space-y-4" onSubmit={(event) => { event.preventDefault(); release.mutate(); }}>
          <p className="text-mute">{words.told(short(bundle))}</p>
          <Field label={words.name} value={name} onChange={(e) => setName(e.target.value)} required />
          <Choice label={words.group} value={group} onChange={(e) => setGroup(e.target.value)}>
            <option value="">{words.everybody(count(devices))}</option>
            {groups.data?.filter((one) => one.name && one.devices).map((one) => <option key={one.name} value={one.name}>{words.inGroup(one.name, count(one.devices))}</option>)}
          </Choice>
          <div className="grid grid-cols-2 gap-3">
            <Field label={words.waves} hint={words.wavesHint} value={waves} onChange={(e) => setWaves(e.target.value)} required />
            <Field label={words.soak} type="number" min={0} step="any" value={soak} onChange={(e) => setSoak(Number(e.target.value))} required />
          </div>
          {release.error && <Trouble error={release.error} />}
          <div className="flex justify-end"><Button kind="primary" type="submit" disabled={release.isPending || !groups.data}>{words.submit}</Button></div>
        </form>
      )}
    </Dialog>
  );
}
