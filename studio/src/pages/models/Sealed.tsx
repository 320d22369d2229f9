import { useQuery } from "@tanstack/react-query";
import { Link } from "wouter";
import { useMay } from "../../api/account";
import { type Page, get, type Told } from "../../api/client";
import { bytes } from "../../lib/format";
import { Part } from "../../ui/Panel";
import { Tag } from "../../ui/Sign";
import { When } from "../../ui/When";
import { w } from "../../words";

const MOST = 20;

/** Bundles that were made of a version, here or by the command line elsewhere. */
export function Sealed({ digest }: { digest: string }) {
  const may = useMay()("bundles.read");
  const told = useQuery({
    queryKey: ["bundles", "of", digest],
    queryFn: ({ signal }) => get<Page<Told["BundleTold"]>>("/bundles", { source: digest, limit: MOST }, signal),
    enabled: may && digest !== "",
    refetchInterval: 15_000,
  });
  if (!told.data?.items.length) return null;
  return (
    <Part title={w.models.sealed}>
      <ul className="divide-y divide-line">
        {told.data.items.map((one) => (
          <li key={one.digest} className="py-1.5">
            <span className="flex justify-between gap-2"><Link href={`/sdk-export?bundle=${one.digest}`} className="font-medium hover:underline min-w-0 break-words">{one.name} <span className="num font-normal">{one.version}</span></Link><span className="num whitespace-nowrap">{bytes(one.length)}</span></span>
            <span className="flex justify-between gap-2 text-sm text-mute"><Tag level={one.released ? "good" : "unknown"}>{one.released ? w.models.released : w.models.unreleased}</Tag><When at={one.made} /></span>
          </li>
        ))}
      </ul>
      {told.data.next && <p className="text-sm text-mute">{w.newest(String(MOST))}</p>}
    </Part>
  );
}
