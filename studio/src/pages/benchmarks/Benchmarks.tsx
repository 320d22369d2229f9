import { useParams as useRoute } from "wouter";
import { useMay } from "../../api/account";
import { useBenchmarks } from "../../api/benchmarks";
import { useParam, useParams } from "../../lib/url";
import { Bones, Empty } from "../../ui/Bones";
import { Button, ButtonLink } from "../../ui/Button";
import { Page } from "../../ui/Page";
import { Trouble } from "../../ui/Trouble";
import { w } from "../../words";
import { Ask } from "./Ask";
import { History } from "./History";
import { One } from "./One";

const words = w.benchmarks;

/** The history; one benchmark under its id; the form where something is to be measured (`?new=1`, `?subject=`, `?device=`). */
export default function Benchmarks() {
  const { id = "" } = useRoute<{ id?: string }>();
  const [asking] = useParam("new");
  const [subjects] = useParams("subject");
  const [devices] = useParams("device");
  if (id) return <One key={id} id={id} />;
  return asking || subjects.length || devices.length ? <Ask /> : <All />;
}

function All() {
  const may = useMay()("benchmarks.write");
  const list = useBenchmarks();
  const rows = list.data?.pages.flatMap((page) => page.items) ?? [];
  return (
    <Page title={words.title} told={words.question} action={may && <ButtonLink kind="primary" href="/benchmarks?new=1">{words.make}</ButtonLink>}>
      <div className="space-y-4">
        {list.error && !list.data && <Trouble error={list.error} again={() => void list.refetch()} />}
        {list.isPending && !list.error && <Bones rows={8} height={44} />}
        {list.data && !rows.length && <Empty {...words.empty}>{may && <ButtonLink kind="primary" href="/benchmarks?new=1">{words.make}</ButtonLink>}</Empty>}
        {rows.length > 0 && <History list={rows} />}
        {list.hasNextPage && <Button onClick={() => void list.fetchNextPage()} disabled={list.isFetchingNextPage}>{w.more}</Button>}
      </div>
    </Page>
  );
}
