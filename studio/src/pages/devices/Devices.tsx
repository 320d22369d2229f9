import { useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { useMay } from "../../api/account";
import { send } from "../../api/client";
import { useModels } from "../../api/models";
import { type Profile, ref, useFits, useProfiles } from "../../api/profiles";
import { useParam } from "../../lib/url";
import { Bones, Empty } from "../../ui/Bones";
import { Button, ButtonLink } from "../../ui/Button";
import { Segments } from "../../ui/Field";
import { Page } from "../../ui/Page";
import { Sure } from "../../ui/Sure";
import { Trouble } from "../../ui/Trouble";
import { w } from "../../words";
import { FitPanel } from "./FitPanel";
import { Matrix } from "./Matrix";
import { NewProfile } from "./NewProfile";
import { ProfilePanel } from "./ProfilePanel";
import { Profiles } from "./Profiles";

const words = w.devices;
const MANY = 6;

export default function Devices() {
  const [tab, setTab] = useParam("tab", "matrix");
  const [version, setVersion] = useParam("version");
  const [profile, setProfile] = useParam("profile");
  const [adding, setAdding] = useParam("add");
  const [shown, setShown] = useState(MANY);
  const [gone, setGone] = useState<Profile | null>(null);
  const may = useMay();
  const client = useQueryClient();
  const profiles = useProfiles();
  const models = useModels();
  const ready = (models.data?.items ?? []).filter((one) => one.newest?.state === "ready" && one.newest.stage !== "retired");
  // A deep link may name a model that is further back.
  const some = ready.filter((one, i) => i < shown || one.newest?.id === version);
  const fits = useFits(tab === "matrix" ? some.map((one) => one.newest?.id ?? "") : [], profiles.data?.own.map(ref));
  const own = profiles.data?.own ?? [];
  const templates = profiles.data?.templates ?? [];
  const one = [...own, ...templates].find((it) => ref(it) === profile);
  const model = some.find((it) => it.newest?.id === version);
  const fit = model ? fits[some.indexOf(model)]?.data?.[profile] : undefined;
  const choose = (nextVersion: string, nextProfile: string) => { setVersion(nextVersion); setProfile(nextProfile); };
  const panel = model && fit && one ? <FitPanel key={`${version}${profile}`} model={model} fit={fit} target={one.name} onClose={() => choose("", "")} />
    : one && !version ? <ProfilePanel key={profile} one={one} allowed={may("models.write")} onRemove={setGone} onClose={() => choose("", "")} /> : undefined;
  const groups = ([[words.own, own], [words.templates, templates]] as [string, Profile[]][]).filter(([, list]) => list.length > 0);
  const error = profiles.error ?? models.error;
  return (
    <Page
      title={words.title} told={words.question} panel={panel}
      action={
        <>
          <Segments label={words.title} value={tab} onChange={(next) => { setTab(next); setVersion(""); }} options={[["matrix", words.tabs.matrix], ["profiles", words.tabs.profiles]]} />
          {may("models.write") && <Button kind="primary" onClick={() => setAdding("1")}>{words.add}</Button>}
        </>
      }
    >
      {Boolean(error) && <div className="mb-4"><Trouble error={error} again={() => { void profiles.refetch(); void models.refetch(); }} /></div>}
      {!error && (!profiles.data || (tab === "matrix" && !models.data)) && <Bones rows={9} height={48} />}
      {profiles.data && tab === "profiles" && <Profiles list={[...own, ...templates]} chosen={profile} onChoose={(next) => choose("", next)} />}
      {profiles.data && models.data && tab === "matrix" && !ready.length && <Empty {...words.noModels}>{may("models.write") && <ButtonLink kind="primary" href="/models?upload=model">{w.models.upload}</ButtonLink>}</Empty>}
      {profiles.data && tab === "matrix" && ready.length > 0 && (
        <div className="space-y-3">
          <p className="text-mute">{words.legend}</p>
          <Matrix groups={groups} models={some} fits={fits} version={version} profile={profile} onCell={choose} />
          {ready.length > some.length && <Button kind="quiet" onClick={() => setShown(shown + MANY)}>{words.more(Math.min(MANY, ready.length - some.length))}</Button>}
        </div>
      )}
      {adding && <NewProfile templates={templates} onClose={(made) => { setAdding(""); if (made) choose("", ref(made)); }} />}
      {gone && <Sure title={words.remove} told={words.removeTold(gone.name)} action={words.remove} danger onClose={() => setGone(null)} work={() => send("DELETE", `/device-profiles/${gone.id}`).then(() => { choose("", ""); return client.invalidateQueries({ queryKey: ["profiles"] }); })} />}
    </Page>
  );
}
