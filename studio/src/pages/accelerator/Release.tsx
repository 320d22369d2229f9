import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { useAccount } from "../../api/account";
import { useBundles } from "../../api/artifacts";
import { all, get, type Page, send, type Told } from "../../api/client";
import { count, short } from "../../lib/format";
import { useGo } from "../../lib/url";
import { Button, ButtonLink } from "../../ui/Button";
import { Dialog } from "../../ui/Dialog";
import { Choice, Field } from "../../ui/Field";
import { Sign } from "../../ui/Sign";
import { Trouble } from "../../ui/Trouble";
import { w } from "../../words";

const words = w.studio.releaseTo;

/** From a finished search to the line: the bundle in waves, to a group. */
export function Release({ bundle, candidate, called, onClose }: { bundle: string; candidate: string; called: string; onClose: () => void }) {
  const client = useQueryClient();
  const go = useGo();
  const account = useAccount();
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
  const taken = groups.data?.filter((one) => !group || one.name === group) ?? [];
  const chosen = taken.reduce((sum, one) => sum + one.devices, 0);
  // What the first of them run that is another model: the release puts its own in that one's place.
  const members = useQuery({ queryKey: ["devices", "of", group], queryFn: ({ signal }) => get<Page<Told["DeviceTold"]>>("/devices", { group, limit: 200 }, signal) });
  const bundles = useBundles().data ?? [];
  const nameOf = (digest: string) => bundles.find((one) => one.digest === digest)?.name ?? "";
  const others = [...new Set((members.data?.items ?? []).map((one) => nameOf(one.current)))].filter((one) => one && nameOf(bundle) && one !== nameOf(bundle));
  const silent = chosen > 0 && taken.every((one) => one.online === 0);
  return (
    <Dialog title={w.studio.release} onClose={onClose}>
      {groups.data && devices === 0 ? (
        <div className="space-y-4"><p>{words.nobody}</p><ButtonLink kind="primary" href="/fleet?enrol=1">{w.fleet.enrol}</ButtonLink></div>
      ) : (
        <form className="space-y-4" onSubmit={(event) => { event.preventDefault(); release.mutate(); }}>
          <p className="text-mute">{words.told(short(bundle), candidate)} {account?.tenant.development ? words.signed : words.waits}</p>
          <Field label={words.name} value={name} onChange={(e) => setName(e.target.value)} required />
          <Choice label={words.group} value={group} onChange={(e) => setGroup(e.target.value)}>
            <option value="">{words.everybody(count(devices))}</option>
            {groups.data?.filter((one) => one.name && one.devices).map((one) => <option key={one.name} value={one.name}>{words.inGroup(one.name, count(one.devices))}</option>)}
          </Choice>
          {silent && <p className="flex gap-2"><span className="h-5 flex items-center"><Sign level="attention" /></span><span>{words.silent(count(chosen))}</span></p>}
          {others.length > 0 && <p className="flex gap-2"><span className="h-5 flex items-center"><Sign level="attention" /></span><span>{words.instead(others, nameOf(bundle))}</span></p>}
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
