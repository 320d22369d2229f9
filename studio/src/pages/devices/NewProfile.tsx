import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { send } from "../../api/client";
import { useFound } from "../../api/fleet";
import type { Profile } from "../../api/profiles";
import { Button } from "../../ui/Button";
import { Copy } from "../../ui/Copy";
import { Dialog } from "../../ui/Dialog";
import { Choice, Field, Segments } from "../../ui/Field";
import { Trouble } from "../../ui/Trouble";
import { w } from "../../words";

const words = w.devices.form;

/** A device class of one's own: from a file that the device wrote, or from what an enrolled one told. */
export function NewProfile({ templates, onClose }: { templates: Profile[]; onClose: (made?: Profile) => void }) {
  const client = useQueryClient();
  const [from, setFrom] = useState<"file" | "enrolled">("file");
  const [toml, setToml] = useState("");
  const [device, setDevice] = useState("");
  const [like, setLike] = useState("");
  const [name, setName] = useState("");
  const devices = useFound(device.trim());
  const make = useMutation({
    mutationFn: () => send<Profile>("POST", "/device-profiles", { ...(from === "file" ? { toml } : { device, ...(like ? { like } : {}) }), ...(name ? { name } : {}) }),
    onSuccess: async (made) => {
      await client.invalidateQueries({ queryKey: ["profiles"] });
      onClose(made);
    },
  });
  const take = async (file: File | undefined) => { if (file) setToml(await file.text()); };
  return (
    <Dialog title={words.title} onClose={() => onClose()} wide>
      <form className="space-y-4" onSubmit={(event) => { event.preventDefault(); make.mutate(); }}>
        <Segments label={words.from} value={from} onChange={(next) => { setFrom(next); make.reset(); }} options={[["file", words.file], ["enrolled", words.enrolled]]} />
        {from === "file" ? (
          <>
            <div className="space-y-1"><p className="text-mute">{words.told}</p><Copy text={words.command} label={words.told} /></div>
            <label
              onDragOver={(event) => event.preventDefault()} onDrop={(event) => { event.preventDefault(); void take(event.dataTransfer.files[0]); }}
              className="block rounded border border-dashed border-line hover:border-mute p-4 text-center cursor-pointer focus-within:outline-2 focus-within:outline-accent"
            >
              <input type="file" accept=".toml" className="sr-only" aria-label={words.file} onChange={(event) => void take(event.target.files?.[0])} />
              <span className="text-accent font-medium">{words.choose}</span> <span className="text-mute">{words.drop}</span>
            </label>
            <label className="block space-y-1">
              <span className="block text-sm font-medium">{words.paste}</span>
              <textarea value={toml} onChange={(event) => setToml(event.target.value)} rows={8} required spellCheck={false} className="num w-full rounded border border-line bg-paper p-2.5 hover:border-mute" />
            </label>
          </>
        ) : !device && devices.data && !devices.data.items.length ? <p className="text-mute">{words.noDevices}</p> : (
          <div className="grid gap-4 md:grid-cols-2">
            <Field label={words.device} hint={words.chooseDevice} value={device} onChange={(event) => setDevice(event.target.value.trim())} list="devices-found" required spellCheck={false} autoComplete="off" />
            <datalist id="devices-found">{devices.data?.items.map((one) => <option key={one.name} value={one.name} />)}</datalist>
            <Choice label={words.like} value={like} onChange={(event) => setLike(event.target.value)}>
              <option value="">{words.likeNearest}</option>
              {templates.map((one) => <option key={one.name} value={one.name}>{one.title}</option>)}
            </Choice>
          </div>
        )}
        {devices.error && from === "enrolled" && <Trouble error={devices.error} again={() => void devices.refetch()} />}
        <Field label={words.name} hint={words.nameHint} value={name} onChange={(event) => setName(event.target.value)} pattern="[A-Za-z0-9._\-]{1,64}" />
        {make.error && <Trouble error={make.error} />}
        <div className="flex justify-end"><Button kind="primary" type="submit" disabled={make.isPending || (from === "file" ? !toml.trim() : !device)}>{words.submit}</Button></div>
      </form>
    </Dialog>
  );
}
