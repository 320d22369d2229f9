import { useLayoutEffect, useRef } from "react";
import { w } from "../words";

/** What covers the whole page until it is done with: modal, so that it stands over open dialogs too, and all below is inert. */
export function Over({ children }: { children: React.ReactNode }) {
  const ref = useRef<HTMLDialogElement>(null);
  useLayoutEffect(() => {
    const dialog = ref.current;
    dialog?.showModal();
    return () => dialog?.close();
  }, []);
  return (
    <dialog
      ref={ref} aria-label={w.login.title}
      onCancel={(event) => event.preventDefault()}
      onClose={() => ref.current?.showModal()} // a second Escape closes it without asking
      className="size-full max-w-none max-h-none border-0 p-0 bg-ground overflow-y-auto"
    >
      {children}
    </dialog>
  );
}
