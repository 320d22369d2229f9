import { useState } from "react";
import { w } from "../words";
import { Icon } from "./Icon";

/** A text to be taken elsewhere, whole. */
export function Copy({ text, label }: { text: string; label?: string }) {
  const [done, setDone] = useState(false);
  const copy = async () => {
    await navigator.clipboard?.writeText(text).catch(() => undefined);
    setDone(true);
    window.setTimeout(() => setDone(false), 1500);
  };
  return (
    <div className="flex items-start gap-2 rounded border border-line bg-ground pl-3 pr-1 py-1">
      <code className="min-w-0 flex-1 [overflow-wrap:anywhere] py-1 select-all" aria-label={label}>{text}</code>
      <button
        type="button" onClick={copy} title={done ? w.copied : w.copy} aria-label={done ? w.copied : w.copy}
        className="size-7 grid place-items-center rounded text-mute hover:text-ink hover:bg-line/50"
      >
        <Icon name={done ? "check" : "copy"} size={14} />
      </button>
    </div>
  );
}
