import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { useAccount, useMay } from "../../api/account";
import { get, send, type Told } from "../../api/client";
import { Bones, Empty } from "../../ui/Bones";
import { Button } from "../../ui/Button";
import { Card, Page } from "../../ui/Page";
import { Trouble } from "../../ui/Trouble";
import { When } from "../../ui/When";
import { w } from "../../words";
import { draftOf, keepDraft } from "./draft";
import { pieces } from "./pieces";

const words = w.services;

/** A plain page of the tenant's own: who is on duty, where things are. */
export default function Services() {
  const may = useMay();
  const { data, error } = useQuery({ queryKey: ["services"], queryFn: ({ signal }) => get<Told["TextTold"]>("/services", {}, signal) });
  const account = useAccount();
  const [writing, setWriting] = useState(draftOf(account) !== null);
  const edit = may("tenant.write") && data && !writing && <Button onClick={() => setWriting(true)}>{data.text ? words.edit : words.begin}</Button>;
  return (
    <Page title={words.title} told={words.told} action={edit}>
      {error && <Trouble error={error} />}
      {!data && !error && <Bones rows={4} />}
      {data && writing && may("tenant.write") && <Write page={data} done={() => setWriting(false)} />}
      {data && !writing && !data.text && <Empty title={words.empty} told={words.teach} />}
      {data && !writing && data.text && (
        <Card className="max-w-3xl">
          <div className="p-4 whitespace-pre-wrap break-words leading-relaxed">
            {pieces(data.text).map((one, i) => (one.link ? <a key={i} href={one.text} className="text-accent underline" rel="noreferrer noopener">{one.text}</a> : one.text))}
          </div>
          <p className="px-4 py-3 border-t border-line text-sm text-mute">{words.by(data.by)} {data.changed && <When at={data.changed} />}</p>
        </Card>
      )}
    </Page>
  );
}

function Write({ page, done }: { page: Told["TextTold"]; done: () => void }) {
  const client = useQueryClient();
  const account = useAccount();
  const [{ text, revision }, setDraft] = useState(() => draftOf(account) ?? { text: page.text, revision: page.revision });
  const keep = useMutation({
    mutationFn: () => send<Told["TextTold"]>("PUT", "/services", { text, revision }),
    onError: () => client.invalidateQueries({ queryKey: ["services"] }),
    onSuccess: (kept) => { client.setQueryData(["services"], kept); end(); },
  });
  const write = (next: string, over = revision) => { setDraft({ text: next, revision: over }); keepDraft(account, { text: next, revision: over }); };
  const end = () => { keepDraft(account, null); done(); };
  return (
    <form className="max-w-3xl space-y-3" onSubmit={(event) => { event.preventDefault(); keep.mutate(); }}>
      <label className="block space-y-1">
        <span className="text-sm font-medium">{words.text}</span>
        <textarea value={text} onChange={(event) => write(event.target.value)} rows={16} maxLength={20000} autoFocus className="w-full rounded border border-line bg-paper p-3 leading-relaxed hover:border-mute" />
      </label>
      {keep.error && <Trouble error={keep.error} />}
      {page.revision > revision && (
        <section aria-label={words.meanwhile(page.by)} className="rounded border border-line p-3 space-y-2">
          <p className="font-medium">{words.meanwhile(page.by)}</p>
          <p className="whitespace-pre-wrap break-words text-mute">{page.text}</p>
          <Button type="button" onClick={() => write(text, page.revision)}>{words.seen}</Button>
        </section>
      )}
      <div className="flex gap-2">
        <Button type="submit" disabled={keep.isPending}>{words.keep}</Button>
        <Button kind="quiet" type="button" onClick={end}>{w.cancel}</Button>
      </div>
    </form>
  );
}
