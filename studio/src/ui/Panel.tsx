import { useEffect, useLayoutEffect, useRef } from "react";
import { w } from "../words";
import { giveBack } from "./focus";
import { IconButton } from "./Icon";

/**
 * The thing that is selected, at the right; over the page where the window is narrow. Escape closes it. `keeps`: it is
 * always there on wide windows, so that what stands beside it does not move when something is chosen. Over the page it
 * takes the focus; once closed it gives it back.
 */
export function Panel({ title, above, onClose, children, keeps = false }: { title: string; above?: React.ReactNode; onClose?: (() => void) | undefined; children: React.ReactNode; keeps?: boolean }) {
  useEffect(() => {
    if (!onClose) return;
    const key = (event: KeyboardEvent) => {
      if (event.key === "Escape" && !document.querySelector("dialog")) onClose();
    };
    window.addEventListener("keydown", key);
    return () => window.removeEventListener("keydown", key);
  }, [onClose]);
  const ref = useRef<HTMLElement>(null);
  const open = onClose !== undefined;
  useLayoutEffect(() => {
    if (!open) return;
    const panel = ref.current;
    const opener = document.activeElement;
    if (window.matchMedia("(width < 80rem)").matches) panel?.focus();
    return () => {
      const at = document.activeElement;
      if (at === document.body || panel?.contains(at)) giveBack(opener);
    };
  }, [open]);
  const place = keeps && !onClose
    ? "hidden xl:block xl:sticky xl:top-0 xl:h-[calc(100dvh-48px)]"
    : "fixed inset-x-0 bottom-0 top-24 rounded-t z-30 md:left-auto md:top-12 md:w-[420px] md:rounded-none xl:sticky xl:top-0 xl:h-[calc(100dvh-48px)] xl:z-0";
  return (
    <aside ref={ref} tabIndex={-1} aria-label={title} className={`${place} outline-none shrink-0 w-full xl:w-[400px] border-t md:border-t-0 md:border-l border-line bg-paper overflow-y-auto`}>
      <div className="sticky top-0 bg-paper z-10 px-5 pt-4 pb-3 flex items-start justify-between gap-3 border-b border-line">
        <div className="min-w-0">
          {above && <div className="text-sm text-mute [overflow-wrap:anywhere]">{above}</div>}
          <h2 className="text-lg break-words leading-6">{title}</h2>
        </div>
        {onClose && <IconButton icon="close" label={w.close} onClick={onClose} />}
      </div>
      <div className="px-5 py-4 space-y-6">{children}</div>
    </aside>
  );
}

export function Part({ title, children, action }: { title: string; children: React.ReactNode; action?: React.ReactNode }) {
  return (
    <section className="space-y-2">
      <div className="flex items-center justify-between gap-2 min-h-5">
        <h3 className="text-sm text-mute font-medium">{title}</h3>
        {action}
      </div>
      {children}
    </section>
  );
}

export function Facts({ rows }: { rows: [string, React.ReactNode][] }) {
  return (
    <dl className="grid grid-cols-[112px_1fr] gap-x-3 gap-y-1.5">
      {rows.map(([name, told]) => (
        <div key={name} className="contents">
          <dt className="text-mute">{name}</dt>
          <dd className="min-w-0 break-words">{told}</dd>
        </div>
      ))}
    </dl>
  );
}
