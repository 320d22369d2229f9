import { useId } from "react";

const BOX = "h-8 w-full rounded border border-line bg-paper px-2.5 hover:border-mute placeholder:text-mute/80";

type Common = { label: string; hint?: string };

export function Field({ label, hint, ...rest }: Common & React.InputHTMLAttributes<HTMLInputElement>) {
  const id = useId();
  return (
    <div className="space-y-1">
      <label htmlFor={id} className="block text-sm font-medium">{label}</label>
      <input id={id} aria-describedby={hint ? `${id}-hint` : undefined} data-first={rest.autoFocus} {...rest} className={BOX} />
      {hint && <p id={`${id}-hint`} className="text-sm text-mute">{hint}</p>}
    </div>
  );
}

export function Choice({ label, hint, children, ...rest }: Common & React.SelectHTMLAttributes<HTMLSelectElement>) {
  const id = useId();
  return (
    <div className="space-y-1">
      <label htmlFor={id} className="block text-sm font-medium">{label}</label>
      <select id={id} {...rest} className={BOX}>{children}</select>
      {hint && <p className="text-sm text-mute">{hint}</p>}
    </div>
  );
}

/** One of a few, side by side. */
export function Segments<T extends string>({ label, value, options, onChange }: { label: string; value: T; options: [T, string][]; onChange: (value: T) => void }) {
  return (
    <div role="radiogroup" aria-label={label} className="inline-flex h-8 rounded border border-line bg-paper p-0.5">
      {options.map(([key, told]) => (
        <button
          key={key} type="button" role="radio" aria-checked={key === value} onClick={() => onChange(key)}
          className={`px-2.5 rounded-[6px] text-sm font-medium ${key === value ? "bg-line/80 text-ink" : "text-mute hover:text-ink"}`}
        >
          {told}
        </button>
      ))}
    </div>
  );
}
