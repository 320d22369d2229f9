import { useState } from "react";
import { Icon } from "../../ui/Icon";
import { w } from "../../words";

/** A command, to be taken by one click; the text itself stands in the panel. */
export function Take({ text, label }: { text: string; label: string }) {
  const [done, setDone] = useState(false);
  if (!text) return null;
  const take = async () => {
    await navigator.clipboard?.writeText(text).catch(() => undefined);
    setDone(true);
    window.setTimeout(() => setDone(false), 1500);
  };
  return (
    <button type="button" onClick={take} aria-label={done ? w.copied : label} title={done ? w.copied : text} className="size-8 grid place-items-center rounded text-mute hover:text-ink hover:bg-line/50">
      <Icon name={done ? "check" : "copy"} size={14} />
    </button>
  );
}
