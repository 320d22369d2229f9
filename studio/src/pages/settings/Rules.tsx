import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { useMay } from "../../api/account";
import { get, send, type Told } from "../../api/client";
import { Bones } from "../../ui/Bones";
import { Button } from "../../ui/Button";
import { Trouble } from "../../ui/Trouble";
import { w } from "../../words";
import { Table } from "../../ui/Table";

type Rules = Told["RulesTold"];
const words = w.settings.rules;
const BOX = "h-8 rounded border border-line bg-paper px-2 disabled:opacity-60";

export function Rules() {
  const client = useQueryClient();
  const writes = useMay()("alerts.write");
  const told = useQuery({ queryKey: ["rules"], queryFn: ({ signal }) => get<Rules>("/alerts/rules", {}, signal) });
  const [draft, setDraft] = useState<Rules | null>(null);
  useEffect(() => { if (told.data) setDraft(told.data); }, [told.data]);
  const save = useMutation({
    mutationFn: (rules: Rules) => send<Rules>("PUT", "/alerts/rules", {
      rules: rules.rules.map(({ kind, on, severity, limit, muted }) => ({ kind, on, severity, muted, ...(limit === null ? {} : { limit }) })), mail: rules.mail.filter(Boolean), least: rules.least,
    }),
    onSuccess: (made) => client.setQueryData(["rules"], made),
  });
  if (told.error) return <Trouble error={told.error} again={() => void told.refetch()} />;
  if (!draft) return <Bones rows={8} />;
  const set = (kind: string, part: Partial<Rules["rules"][number]>) => setDraft({ ...draft, rules: draft.rules.map((one) => (one.kind === kind ? { ...one, ...part } : one)) });
  return (
    <form className="space-y-4 max-w-5xl" onSubmit={(event) => { event.preventDefault(); save.mutate(draft); }}>
      <p className="text-mute">{words.told}</p>
      <Table label={w.settings.tabs.rules} head={[w.settings.audit.what, words.severity, words.limit]}>
        {draft.rules.map((one) => (
          <tr key={one.kind}>
            <td><label className="flex gap-3"><input type="checkbox" disabled={!writes} checked={one.on} onChange={(e) => set(one.kind, { on: e.target.checked })} /><span><span className="font-medium">{w.alerts.kinds[one.kind]?.name ?? one.kind}</span><br /><span className="text-mute">{one.about}</span></span></label></td>
            <td><select aria-label={`${words.severity}: ${one.kind}`} disabled={!writes} className={BOX} value={one.severity} onChange={(e) => set(one.kind, { severity: e.target.value })}>{Object.entries(w.alerts.severities).map(([key, name]) => <option key={key} value={key}>{name}</option>)}</select></td>
            <td className="whitespace-nowrap">{one.limit !== null && <><input aria-label={`${words.limit}: ${one.kind}`} disabled={!writes} type="number" min={1} className={`${BOX} w-20 num`} value={one.limit} onChange={(e) => set(one.kind, { limit: Number(e.target.value) })} /> <span className="text-mute">{one.unit}</span></>}</td>
          </tr>
        ))}
      </Table>
      <label className="block space-y-1 max-w-md">
        <span className="block text-sm font-medium">{words.mail}</span>
        <textarea rows={3} disabled={!writes} className="w-full rounded border border-line bg-paper px-2.5 py-1.5" value={draft.mail.join("\n")} onChange={(e) => setDraft({ ...draft, mail: e.target.value.split("\n") })} />
        <span className="block text-sm text-mute">{draft.mail_ready ? words.mailHint : words.mailMissing}</span>
      </label>
      {save.error && <Trouble error={save.error} />}
      {writes && <div className="flex items-center gap-3"><Button kind="primary" type="submit" disabled={save.isPending}>{words.save}</Button>{save.isSuccess && <span role="status" className="text-good">{words.saved}</span>}</div>}
    </form>
  );
}
