import { useQueryClient } from "@tanstack/react-query";
import { useEffect, useRef, useState } from "react";
import { send } from "../../api/client";
import { useModels } from "../../api/models";
import type { Model } from "../../api/studio";
import { bytes } from "../../lib/format";
import { Button } from "../../ui/Button";
import { Dialog } from "../../ui/Dialog";
import { Choice, Field } from "../../ui/Field";
import { Trouble } from "../../ui/Trouble";
import { w } from "../../words";
import { passing, said } from "./said";
import type { Running, Sent, Stop } from "./upload";

const words = w.models.upload_;

/** A file on its way to the hub: what is sent, how fast; a cut is told and mended by itself. */
export function UploadDialog({ kind, of = "", onClose }: { kind: "model" | "dataset"; of?: string; onClose: (model?: string) => void }) {
  const client = useQueryClient();
  const models = useModels();
  const [file, setFile] = useState<File | null>(null);
  const [into, setInto] = useState(of);
  const [name, setName] = useState("");
  const [sent, setSent] = useState<Sent | null>(null);
  const [state, setState] = useState<"" | "going" | "waits" | "paused" | "failed">("");
  const [status, setStatus] = useState(0);
  const [error, setError] = useState<unknown>(null);
  const [stop, setStop] = useState<Stop | null>(null);
  const running = useRef<Running | null>(null);
  const fresh = useRef(""); // a model that was made for this file alone, and has nothing yet
  const gone = useRef(false);
  useEffect(() => {
    gone.current = false;
    return () => {
      gone.current = true; // who goes elsewhere is not followed: the same file, chosen again, goes on from there
      running.current?.pause();
    };
  }, []);
  const busy = state === "going" || state === "waits";
  /** Something else is to be sent than what was begun. */
  const anew = () => {
    running.current?.pause();
    running.current = null;
    setSent(null);
    setError(null);
    setStop(null);
    setState("");
  };
  /** A model for it; the one that was made for a file before, which did not come. */
  const made = async () => {
    const model = await (fresh.current ? send<Model>("PATCH", `/models/${fresh.current}`, { name }) : send<Model>("POST", "/models", { name, description: "" }));
    return (fresh.current = model.id);
  };
  /** Nothing of the file was taken: neither does a model stay behind that has no version. */
  const unmake = async () => {
    const model = fresh.current;
    fresh.current = "";
    running.current = null;
    if (model) await send("DELETE", `/models/${model}`).catch(() => null);
    await client.invalidateQueries({ queryKey: ["models"] });
  };
  const take = (next: File | undefined) => {
    if (!next || busy) return;
    anew();
    setFile(next);
    if (!name) setName(next.name.replace(/(\.tar)?\.[^.]+$/, ""));
  };
  const start = async () => {
    if (!file) return;
    setError(null);
    setStop(null);
    setState("going");
    if (running.current) return running.current.resume();
    try {
      const model = kind === "model" ? into || (await made()) : "";
      const { begin } = await import("./upload");
      if (gone.current) return;
      running.current = begin(kind === "model" ? { file, model } : { file, dataset: name }, {
        progress: (now) => { setSent(now); setState("going"); },
        waits: (why) => { setState("waits"); setStatus(why); },
        stopped: (why) => { setState("failed"); setStop(why); if (!running.current?.begun() && why.status !== 0 && why.status !== 401 && !passing(why.status)) void unmake(); },
        done: () => { void client.invalidateQueries({ queryKey: ["models"] }); if (!gone.current) onClose(model); },
      });
    } catch (failure) {
      setState("failed");
      setError(failure);
    }
  };
  const done = sent ? bytes(sent.sent) : "0 B";
  const title = kind === "dataset" ? words.titleData : of ? words.titleVersion(models.data?.items.find((one) => one.id === of)?.name ?? of) : words.title;
  return (
    <Dialog title={title} onClose={() => onClose()} keeps={busy || state === "paused"}>
      <form className="space-y-4" onSubmit={(event) => { event.preventDefault(); void start(); }}>
        <label
          onDragOver={(event) => event.preventDefault()} onDrop={(event) => { event.preventDefault(); take(event.dataTransfer.files[0]); }}
          className="block rounded border border-dashed border-line hover:border-mute p-6 text-center cursor-pointer focus-within:outline-2 focus-within:outline-accent"
        >
          <input type="file" accept={words.accepts[kind]} className="sr-only" onChange={(event) => take(event.target.files?.[0])} disabled={busy} aria-label={words.file} />
          {file ? <><span className="font-medium break-all">{file.name}</span><span className="block text-mute num">{bytes(file.size)}</span></> : <><span className="text-accent font-medium">{words.choose}</span> <span className="text-mute">{words.drop}</span><span className="block text-sm text-mute mt-1">{words.takes[kind]}</span></>}
        </label>
        {kind === "model" && !of && (
          <Choice label={words.of} value={into} onChange={(e) => { anew(); setInto(e.target.value); }} disabled={busy}>
            <option value="">{words.newModel}</option>
            {models.data?.items.map((one) => <option key={one.id} value={one.id}>{one.name}</option>)}
          </Choice>
        )}
        {(kind === "dataset" || !into) && <Field label={words.name} value={name} onChange={(e) => { anew(); setName(e.target.value); }} disabled={busy} required />}
        {sent && (
          <div className="h-1.5 rounded-sm bg-line overflow-hidden" role="progressbar" aria-label={words.title} aria-valuenow={Math.round((100 * sent.sent) / sent.all)} aria-valuemin={0} aria-valuemax={100}>
            <div className={`h-full ${state !== "going" ? "bg-warn" : "bg-accent"}`} style={{ width: `${(100 * sent.sent) / sent.all}%` }} />
          </div>
        )}
        <p className={`text-mute empty:hidden ${state === "going" ? "num" : ""}`} role="status">
          {state === "waits" ? (status ? words.busy(done, status) : words.cut(done)) : state === "paused" ? words.paused(done) : state === "going" && sent ? words.left(done, bytes(sent.all), bytes(sent.rate)) : ""}
        </p>
        {error !== null && <Trouble error={error} />}
        {stop && <Trouble error={said(stop, sent?.sent ? done : "")} />}
        <div className="flex justify-end gap-2">
          {busy ? <Button onClick={() => { running.current?.pause(); setState("paused"); }}>{words.pause}</Button>
            : <Button kind="primary" type="submit" disabled={!file}>{running.current ? words.resume : words.start}</Button>}
        </div>
      </form>
    </Dialog>
  );
}
