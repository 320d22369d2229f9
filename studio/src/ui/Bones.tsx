import { w } from "../words";

/** What stands where something is about to be: of its size, so that nothing jumps. */
export function Bones({ rows = 3, height = 32 }: { rows?: number; height?: number }) {
  return (
    <div role="status" aria-label={w.loading} className="space-y-2">
      {Array.from({ length: rows }, (_, i) => (
        <div key={i} className="rounded bg-line/50 animate-pulse" style={{ height }} />
      ))}
    </div>
  );
}

export function Empty({ title, told, children }: { title: string; told: string; children?: React.ReactNode }) {
  return (
    <div className="rounded border border-dashed border-line p-8 text-center">
      <h2 className="text-lg">{title}</h2>
      <p className="text-mute max-w-lg mx-auto mt-1">{told}</p>
      {children && <div className="mt-4 flex justify-center gap-2 flex-wrap">{children}</div>}
    </div>
  );
}
