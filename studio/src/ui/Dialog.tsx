import { useLayoutEffect, useRef } from "react";
import { w } from "../words";
import { besideCloses, giveBack } from "./focus";
import { IconButton } from "./Icon";

/**
 * A window over the page: Escape and a press beside it close it, the focus stays in it and goes back after it. A press
 * beside it does nothing once something was typed in it; where it `keeps` something that is not shown again, neither
 * does Escape (which Chromium, pressed twice, takes for an order: the dialog is shown again then).
 */
export function Dialog({ title, onClose, children, wide = false, keeps = false }: { title: string; onClose: () => void; children: React.ReactNode; wide?: boolean; keeps?: boolean }) {
  const ref = useRef<HTMLDialogElement>(null);
  const typed = useRef(false);
  useLayoutEffect(() => {
    const dialog = ref.current;
    const opener = document.activeElement;
    dialog?.showModal();
    dialog?.querySelector<HTMLElement>("[data-first]")?.focus(); // React focuses it too early, before the dialog is shown
    return () => {
      dialog?.close();
      giveBack(opener);
    };
  }, []);
  return (
    <dialog
      ref={ref} aria-label={title}
      onCancel={(event) => {
        if (event.target !== event.currentTarget) return; // a file was not chosen after all: that bubbles
        event.preventDefault();
        if (!keeps) onClose();
      }}
      onClose={() => { if (keeps) ref.current?.showModal(); }}
      onInput={() => { typed.current = true; }}
      onMouseDown={(event) => { if (!keeps && !typed.current) besideCloses(event, onClose); }}
      className={`m-auto mt-[12vh] w-[calc(100vw-32px)] ${wide ? "max-w-3xl" : "max-w-md"} max-h-[80vh] rounded border border-line bg-paper p-0 backdrop:bg-black/40`}
    >
      <div className="p-5">
        <div className="flex items-start justify-between gap-4 mb-4">
          <h2 className="text-lg">{title}</h2>
          <IconButton icon="close" label={w.close} onClick={onClose} />
        </div>
        {children}
      </div>
    </dialog>
  );
}
