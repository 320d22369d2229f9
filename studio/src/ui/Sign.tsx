import { w } from "../words";

export type Level = "good" | "attention" | "bad" | "unknown" | "active";

const COLOURS: Record<Level, string> = {
  good: "text-good", attention: "text-warn", bad: "text-bad", unknown: "text-none", active: "text-accent",
};

/** A meaning as a shape, so that colour is never the only sign: disc, triangle, square with a cross, ring, half disc. */
export function Sign({ level, size = 10, label }: { level: Level; size?: number; label?: string }) {
  return (
    <svg
      width={size} height={size} viewBox="0 0 10 10" className={`inline-block shrink-0 ${COLOURS[level]}`} {...(label === "" ? { "aria-hidden": true } : { role: "img", "aria-label": label ?? w.levels[level] })}
    >
      {level === "good" && <circle cx="5" cy="5" r="4" fill="currentColor" />}
      {level === "attention" && <path d="M5 .8 9.6 9H.4Z" fill="currentColor" />}
      {level === "bad" && (
        <>
          <rect x=".5" y=".5" width="9" height="9" rx="1.5" fill="currentColor" />
          <path d="m3 3 4 4m0-4-4 4" stroke="var(--paper)" strokeWidth="1.4" />
        </>
      )}
      {level === "unknown" && <circle cx="5" cy="5" r="3.6" fill="none" stroke="currentColor" strokeWidth="1.5" />}
      {level === "active" && (
        <>
          <circle cx="5" cy="5" r="3.7" fill="none" stroke="currentColor" strokeWidth="1.3" />
          <path d="M5 1.3a3.7 3.7 0 0 1 0 7.4Z" fill="currentColor" />
        </>
      )}
    </svg>
  );
}

export function Tag({ level, children }: { level: Level; children: React.ReactNode }) {
  return (
    <span className="inline-flex items-center gap-1.5 whitespace-nowrap">
      <Sign level={level} label="" />
      <span>{children}</span>
    </span>
  );
}
