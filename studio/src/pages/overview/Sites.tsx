import { Link } from "wouter";
import type { FleetMap } from "../../api/fleet";
import { count } from "../../lib/format";
import { Card } from "../../ui/Page";
import { Sign } from "../../ui/Sign";
import { w } from "../../words";

type Site = { name: string; all: number; letters: Record<string, number> };
const FILLS: [string, string][] = [["o", "bg-good/55"], ["w", "bg-warn"], ["s", "bg-none/60"], ["b", "bg-bad"]];

/** Each site with its devices by health, the one with the most ill first. */
export function Sites({ map }: { map: FleetMap | undefined }) {
  const sites = bySite(map);
  if (!sites.length) return null;
  return (
    <Card title={w.overview.sites} action={<Link href="/fleet" className="text-accent hover:underline">{w.shell.pages.fleet}</Link>}>
      <ul className="p-4 space-y-2.5">
        {sites.slice(0, 10).map((one) => {
          const ill = one.all - (one.letters.o ?? 0);
          return (
            <li key={one.name} className="grid grid-cols-[minmax(56px,1fr)_48px_minmax(40px,2.5fr)_112px] gap-3 items-center">
              <span className="truncate font-medium">{one.name}</span>
              <span className="num text-mute text-right">{count(one.all)}</span>
              <span className="flex h-2 rounded-sm overflow-hidden bg-line" aria-hidden="true">
                {FILLS.map(([letter, fill]) => (one.letters[letter] ? <span key={letter} className={fill} style={{ width: `max(2px, ${(100 * (one.letters[letter] ?? 0)) / one.all}%)` }} /> : null))}
              </span>
              <span className="flex items-center gap-1.5 text-mute whitespace-nowrap text-sm">
                <Sign level={one.letters.b ? "bad" : ill ? "attention" : "good"} size={8} label="" />{ill ? w.overview.siteTold(count(ill)) : w.overview.siteWell}
              </span>
            </li>
          );
        })}
      </ul>
    </Card>
  );
}

function bySite(map: FleetMap | undefined): Site[] {
  const found = new Map<string, Site>();
  for (const block of map?.blocks ?? []) {
    const name = block.group.split("/")[0] || w.fleet.ungrouped;
    const site = found.get(name) ?? { name, all: 0, letters: {} };
    for (const letter of block.health) site.letters[letter] = (site.letters[letter] ?? 0) + 1;
    site.all += block.health.length;
    found.set(name, site);
  }
  const ill = (one: Site) => (one.all - (one.letters.o ?? 0)) / one.all;
  return [...found.values()].sort((a, b) => ill(b) - ill(a));
}
