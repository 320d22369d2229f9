import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { useMay } from "../../api/account";
import { send } from "../../api/client";
import type { Dataset, Model, Version } from "../../api/studio";
import { Button } from "../../ui/Button";
import { Dialog } from "../../ui/Dialog";
import { Field } from "../../ui/Field";
import { Part } from "../../ui/Panel";
import { Sure } from "../../ui/Sure";
import { Trouble } from "../../ui/Trouble";
import { w } from "../../words";

const words = w.models.care;

/** What a model and its version are called, and how they go. `onGone`: the model is. */
export function ModelCare({ model, version, onGone }: { model: Model; version: Version | undefined; onGone: () => void }) {
  const [asked, setAsked] = useState<"rename" | "retire" | "version" | "model" | null>(null);
  const again = useAgain();
  if (!useMay()("models.write")) return null;
  const close = () => setAsked(null);
  const number = version ? w.models.version(version.number) : "";
  const retired = version?.stage === "retired";
  return (
    <Part title={words.title}>
      <div className="flex flex-wrap gap-2">
        <Button onClick={() => setAsked("rename")}>{words.rename}</Button>
        {version?.state === "ready" && <Button onClick={() => setAsked("retire")}>{retired ? words.bringBack(number) : words.retire(number)}</Button>}
        {version && <Button kind="danger" onClick={() => setAsked("version")}>{words.remove(number)}</Button>}
        <Button kind="danger" onClick={() => setAsked("model")}>{words.removeModel}</Button>
      </div>
      {asked === "rename" && <Rename title={words.rename} path={`/models/${model.id}`} name={model.name} description={model.description} onClose={close} />}
      {asked === "retire" && version && <Sure title={retired ? words.bringBack(number) : words.retire(number)} told={retired ? words.bringBackTold : words.retireTold} action={retired ? words.bringBack(number) : words.retire(number)} onClose={close} work={() => send("PATCH", `/versions/${version.id}`, { stage: retired ? "validated" : "retired" }).then(again)} />}
      {asked === "version" && version && <Sure title={words.remove(number)} told={words.removeTold} action={words.remove(number)} danger onClose={close} work={() => send("DELETE", `/versions/${version.id}`).then(again)} />}
      {asked === "model" && <Sure title={words.removeModel} told={words.removeModelTold(model.name, model.versions)} action={words.removeModel} danger onClose={close} work={async () => { await send("DELETE", `/models/${model.id}`); onGone(); await again(); }} />}
    </Part>
  );
}

export function DatasetCare({ dataset }: { dataset: Dataset }) {
  const [asked, setAsked] = useState<"rename" | "remove" | null>(null);
  const again = useAgain();
  if (!useMay()("models.write")) return null;
  const close = () => setAsked(null);
  return (
    <span className="flex justify-end gap-1">
      <Button kind="quiet" aria-label={`${words.rename} ${dataset.name}`} onClick={() => setAsked("rename")}>{words.rename}</Button>
      <Button kind="quiet" aria-label={words.remove(dataset.name)} onClick={() => setAsked("remove")}>{words.removeShort}</Button>
      {asked === "rename" && <Rename title={words.rename} path={`/datasets/${dataset.id}`} name={dataset.name} onClose={close} />}
      {asked === "remove" && <Sure title={words.remove(dataset.name)} told={words.removeDataTold} action={words.removeShort} danger onClose={close} work={() => send("DELETE", `/datasets/${dataset.id}`).then(again)} />}
    </span>
  );
}

function useAgain(): () => Promise<unknown> {
  const client = useQueryClient();
  return () => client.invalidateQueries({ queryKey: ["models"] });
}

/** Without a `description` there is none to change. */
function Rename({ title, path, onClose, ...before }: { title: string; path: string; name: string; description?: string; onClose: () => void }) {
  const again = useAgain();
  const [name, setName] = useState(before.name);
  const [description, setDescription] = useState(before.description ?? "");
  const rename = useMutation({
    mutationFn: () => send("PATCH", path, { name: name.trim(), ...(before.description !== undefined && { description: description.trim() }) }),
    onSuccess: async () => { onClose(); await again(); },
  });
  return (
    <Dialog title={title} onClose={onClose}>
      <form className="space-y-4" onSubmit={(event) => { event.preventDefault(); rename.mutate(); }}>
        <Field label={w.models.columns.name} value={name} onChange={(event) => setName(event.target.value)} maxLength={120} required autoFocus />
        {before.description !== undefined && <Field label={words.description} value={description} onChange={(event) => setDescription(event.target.value)} maxLength={2000} />}
        {rename.error && <Trouble error={rename.error} />}
        <div className="flex justify-end gap-2"><Button onClick={onClose}>{w.cancel}</Button><Button kind="primary" type="submit" disabled={rename.isPending || !name.trim()}>{words.keep}</Button></div>
      </form>
    </Dialog>
  );
}
