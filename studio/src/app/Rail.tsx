import { Link, useLocation } from "wouter";
import { useOpenAlerts } from "../api/alerts";
import { Icon } from "../ui/Icon";
import { w } from "../words";
import { PAGES } from "./pages";

export function Rail({ open, onClose }: { open: boolean; onClose: () => void }) {
  const [path] = useLocation();
  const alerts = useOpenAlerts();
  const waiting = alerts.data?.filter((one) => one.severity !== "info").length ?? 0;
  return (
    <>
      {open && <button type="button" aria-label={w.close} onClick={onClose} className="fixed inset-0 top-12 z-30 bg-black/40 md:hidden" />}
      <nav
        aria-label={w.shell.nav}
        className={`${open ? "fixed left-0 top-12 bottom-0 z-40 w-56" : "hidden"} md:static md:block md:w-14 lg:w-48 shrink-0 border-r border-line bg-ground px-2 py-3`}
      >
        <ul className="space-y-0.5">
          {PAGES.map((one) => {
            const here = one.path === "/" ? path === "/" : path.startsWith(one.path);
            return (
              <li key={one.path}>
                <Link
                  href={one.path} aria-current={here ? "page" : undefined} title={one.name} onClick={onClose}
                  className={`h-8 px-2.5 flex items-center gap-2.5 rounded font-medium ${here ? "bg-line/80 text-ink" : "text-mute hover:text-ink hover:bg-line/50"}`}
                >
                  <Icon name={one.icon} />
                  <span className={open ? "" : "md:sr-only lg:not-sr-only"}>{one.name}</span>
                  {one.path === "/alerts" && waiting > 0 && (
                    <span className={`num text-sm ml-auto text-warn ${open ? "" : "md:hidden lg:inline"}`}>{waiting}</span>
                  )}
                </Link>
              </li>
            );
          })}
        </ul>
      </nav>
    </>
  );
}
