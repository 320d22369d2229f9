import type { Whole } from "../../api/benchmarks";
import { w } from "../../words";
import { css } from "./colours";
import { letter } from "./reading";

const words = w.benchmarks;

/** The letter that stands for a subject, in its colour. */
export function Letter({ i }: { i: number }) {
  return <span className="num inline-grid place-items-center size-5 shrink-0 rounded-sm border text-sm leading-none font-semibold" style={{ color: css(i), borderColor: css(i) }}>{letter(i)}</span>;
}

/** How the rows are read. */
export function Key({ subjects }: { subjects: Whole["subjects"] }) {
  const marks: [React.ReactNode, string][] = [
    [<path key="v" d="M1 6C6 6 6 1 10 1s6 5 17 5C16 6 14 11 10 11S6 6 1 6Z" fill="var(--accent)" opacity="0.28" />, words.legend.shape],
    [<g key="m" stroke="var(--accent)"><path d="M5 6h18M5 3v6M23 3v6" strokeWidth="1.4" /><circle cx="14" cy="6" r="3.4" fill="var(--accent)" stroke="none" /></g>, words.legend.p50],
    [<path key="5" d="M14 2v8" stroke="var(--accent)" strokeWidth="1.6" />, words.legend.p95],
    [<path key="9" d="M12 2v8M16 2v8" stroke="var(--accent)" strokeWidth="1.6" />, words.legend.p99],
  ];
  return (
    <ul className="flex flex-wrap gap-x-4 gap-y-1 text-sm text-mute">
      {marks.map(([mark, told]) => <li key={told} title={told === words.legend.shape ? words.legend.shapeTold : undefined} className="flex items-center gap-1.5"><svg width="28" height="12" viewBox="0 0 28 12" aria-hidden="true">{mark}</svg>{told}</li>)}
      {subjects.length > 1 && <li className="flex items-center gap-1.5"><Letter i={0} />{words.baseline}</li>}
    </ul>
  );
}
