import { useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { useMay } from "../../api/account";
import { type Artifact, build, type Kind, useArtifacts, useBundles, useKinds } from "../../api/artifacts";
import { send } from "../../api/client";
import { takenBack, useRollouts } from "../../api/fleet";
import { useJobs } from "../../api/jobs";
import { count } from "../../lib/format";
import { useParam } from "../../lib/url";
import { Bones, Empty } from "../../ui/Bones";
import { ButtonLink } from "../../ui/Button";
import { Page } from "../../ui/Page";
import { Sure } from "../../ui/Sure";
import { Trouble } from "../../ui/Trouble";
import { w } from "../../words";
import { Chosen } from "./Chosen";
import { History } from "./History";
import { KindPanel } from "./KindPanel";
import { Kinds } from "./Kinds";
import { newest } from "./making";

const words = w.exports_;

export default function Exports() {
  const bundles = useBundles();
  const kinds = useKinds();
  const artifacts = useArtifacts();
  const jobs = useJobs();
  const may = useMay();
  const client = useQueryClient();
  const [digest, setDigest] = useParam("bundle");
  const [chosen, setChosen] = useParam("kind");
  const [building, setBuilding] = useState<Record<string, number>>({});
  const [failed, setFailed] = useState<Record<string, unknown>>({});
  const [gone, setGone] = useState<Artifact | null>(null);
  const bad = takenBack(useRollouts().data?.items ?? []);
  const bundle = bundles.data?.find((one) => one.digest === digest) ?? (digest ? undefined : (bundles.data?.find((one) => !bad.has(one.digest)) ?? bundles.data?.[0]));
  const job = jobs.data?.items.find((one) => bundle && one.result?.bundle === bundle.digest)?.id ?? "";
  const list = artifacts.data?.items ?? [];
  const kind = kinds.data?.items.find((one) => one.kind === chosen);
  const key = (one: Kind) => `${bundle?.digest ?? ""}/${one.kind}`;
  const here = (all: Record<string, number>) => Object.fromEntries(Object.entries(all).filter(([name]) => name.startsWith(`${bundle?.digest}/`)).map(([name, since]) => [name.split("/")[1], since]));
  const make = async (one: Kind) => {
    if (!bundle) return;
    const name = key(one);
    setBuilding((all) => ({ ...all, [name]: Date.now() }));
    setFailed((all) => ({ ...all, [name]: null }));
    try {
      await build(one, bundle.digest, job);
      await client.invalidateQueries({ queryKey: ["artifacts", "list"] });
    } catch (error) {
      setFailed((all) => ({ ...all, [name]: error }));
      setChosen(one.kind);
    } finally {
      setBuilding((all) => ({ ...all, [name]: 0 }));
    }
  };
  const error = bundles.error ?? kinds.error ?? artifacts.error;
  const ready = bundle && kinds.data;
  const panel = kind && bundle && (kind.of !== "job" || job) ? (
    <KindPanel
      key={`${bundle.digest}${kind.kind}`} kind={kind} bundle={bundle} artifact={newest(list, kind, bundle.digest, job)} since={building[key(kind)] ?? 0}
      allowed={may("bundles.write")} failure={failed[key(kind)]} onBuild={(one) => void make(one)} onRemove={setGone} onClose={() => setChosen("")}
    />
  ) : undefined;
  return (
    <Page title={words.title} told={words.question} panel={panel}>
      <div className="space-y-5 max-w-6xl">
        {error && <Trouble error={error} again={() => { void bundles.refetch(); void kinds.refetch(); void artifacts.refetch(); }} />}
        {!error && (bundles.isPending || kinds.isPending) && <Bones rows={8} height={56} />}
        {bundles.data?.length === 0 && <Empty {...words.empty}><ButtonLink kind="primary" href="/accelerator-studio?job=new">{words.emptyAction}</ButtonLink></Empty>}
        {bundles.data && bundles.data.length > 0 && digest && !bundle && <Gone onBack={() => setDigest("")} />}
        {ready && bundles.data && <Chosen bundle={bundle} list={bundles.data} bad={bad} onChoose={setDigest} />}
        {ready && !may("bundles.write") && <p className="text-mute">{words.mayNot}</p>}
        {ready && <Kinds kinds={kinds.data.items} bundle={bundle} job={job} list={list} chosen={chosen} building={here(building)} allowed={may("bundles.write")} onChoose={setChosen} onBuild={(one) => void make(one)} />}
        {artifacts.data?.next && <p className="text-mute">{w.newest(count(list.length))}</p>}
        {artifacts.data && (list.length > 0 || ready) && <History list={list} onOpen={(one) => { if (one.bundle && one.bundle !== bundle?.digest) setDigest(one.bundle); setChosen(one.kind); }} />}
      </div>
      {gone && <Sure title={words.remove} told={words.removeTold(gone.filename)} action={words.remove} danger onClose={() => setGone(null)} work={() => send("DELETE", `/artifacts/${gone.id}`).then(() => client.invalidateQueries({ queryKey: ["artifacts", "list"] }))} />}
    </Page>
  );
}

function Gone({ onBack }: { onBack: () => void }) {
  return <Empty title={words.gone.title} told={words.gone.told}><button type="button" className="text-accent hover:underline" onClick={onBack}>{words.gone.back}</button></Empty>;
}
