import { useEffect, useRef } from "react";
import { w } from "../words";
import { IconButton } from "./Icon";

/** A window over the page: Escape and a click beside it close it, the focus stays in it. */
export function Dialog({ title, onClose, children, wide = false }: { title: string; onClose: () => void; children: React.ReactNode; wide?: boolean }) {
  const ref = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    const dialog = ref.current;
    if (dialog && !dialog.open) dialog.showModal();
    return () => dialog?.close();
  }, []);
  return (
    <dialog
      ref={ref} aria-label={title}
      onCancel={(event) => { event.preventDefault(); onClose(); }}
      onMouseDown={(event) => { if (event.target === ref.current) onClose(); }}
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
