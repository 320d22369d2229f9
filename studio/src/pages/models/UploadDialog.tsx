import { useQueryClient } from "@tanstack/react-query";
import { useRef, useState } from "react";
import { send } from "../../api/client";
import { useModels } from "../../api/models";
import type { Model } from "../../api/studio";
import { bytes } from "../../lib/format";
import { Button } from "../../ui/Button";
import { Dialog } from "../../ui/Dialog";
import { Choice, Field } from "../../ui/Field";
import { Trouble } from "../../ui/Trouble";
import { w } from "../../words";
import type { Sent } from "./upload";

const words = w.models.upload_;
type Running = { pause: () => void; resume: () => void };

/** A file on its way to the hub: what is sent, how fast; a cut is told and mended by itself. */
export function UploadDialog({ kind, of = "", onClose }: { kind: "model" | "dataset"; of?: string; onClose: (model?: string) => void }) {
  const client = useQueryClient();
  const models = useModels();
  const [file, setFile] = useState<File | null>(null);
  const [into, setInto] = useState(of);
  const [name, setName] = useState("");
  const [sent, setSent] = useState<Sent | null>(null);
  const [state, setState] = useState<"" | "going" | "cut" | "paused" | "failed">("");
  const [error, setError] = useState<unknown>(null);
  const running = useRef<Running | null>(null);
  const take = (next: File | undefined) => {
    if (!next) return;
    setFile(next);
    if (!name) setName(next.name.replace(/(\.tar)?\.[^.]+$/, ""));
  };
  const start = async () => {
    if (!file) return;
    setError(null);
    setState("going");
    try {
      const model = kind === "model" ? into || (await send<Model>("POST", "/models", { name, description: "" })).id : "";
      setInto(model);
      const { begin } = await import("./upload");
      running.current = begin(kind === "model" ? { file, model } : { file, dataset: name }, {
        progress: (now) => { setSent(now); setState("going"); },
        cut: () => setState("cut"),
        failed: (why) => { setState("failed"); setError(new Error(why)); },
        done: () => { void client.invalidateQueries({ queryKey: ["models"] }); onClose(model); },
      });
    } catch (failure) {
      setState("failed");
      setError(failure);
    }
  };
  const done = sent ? bytes(sent.sent) : "0 B";
  return (
    <Dialog title={kind === "model" ? words.title : words.titleData} onClose={() => { running.current?.pause(); onClose(); }}>
      <form className="space-y-4" onSubmit={(event) => { event.preventDefault(); void start(); }}>
        <label
          onDragOver={(event) => event.preventDefault()} onDrop={(event) => { event.preventDefault(); take(event.dataTransfer.files[0]); }}
          className="block rounded border border-dashed border-line hover:border-mute p-6 text-center cursor-pointer focus-within:outline-2 focus-within:outline-accent"
        >
          <input type="file" className="sr-only" onChange={(event) => take(event.target.files?.[0])} disabled={state === "going"} aria-label={words.file} />
          {file ? <><span className="font-medium break-all">{file.name}</span><span className="block text-mute num">{bytes(file.size)}</span></> : <><span className="text-accent font-medium">{words.choose}</span> <span className="text-mute">{words.drop}</span></>}
        </label>
        {kind === "model" && !of && (
          <Choice label={words.of} value={into} onChange={(e) => setInto(e.target.value)} disabled={state === "going"}>
            <option value="">{words.newModel}</option>
            {models.data?.items.map((one) => <option key={one.id} value={one.id}>{one.name}</option>)}
          </Choice>
        )}
        {(kind === "dataset" || !into) && <Field label={words.name} value={name} onChange={(e) => setName(e.target.value)} required />}
        {sent && (
          <div className="space-y-1">
            <div className="h-1.5 rounded-sm bg-line overflow-hidden" role="progressbar" aria-label={words.title} aria-valuenow={Math.round((100 * sent.sent) / sent.all)} aria-valuemin={0} aria-valuemax={100}>
              <div className={`h-full ${state === "cut" || state === "paused" ? "bg-warn" : "bg-accent"}`} style={{ width: `${(100 * sent.sent) / sent.all}%` }} />
            </div>
            <p className="text-mute num" role="status">{state === "cut" ? words.kept(done) : state === "paused" ? words.paused(done) : words.left(done, bytes(sent.all), bytes(sent.rate))}</p>
          </div>
        )}
        {error !== null && <Trouble error={error} />}
        <div className="flex justify-end gap-2">
          {state === "going" || state === "cut" ? <Button onClick={() => { running.current?.pause(); setState("paused"); }}>{words.pause}</Button>
            : state === "paused" ? <Button kind="primary" onClick={() => { running.current?.resume(); setState("going"); }}>{words.resume}</Button>
            : <Button kind="primary" type="submit" disabled={!file}>{words.start}</Button>}
        </div>
      </form>
    </Dialog>
  );
}
