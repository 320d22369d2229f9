/** A page: what it is, one primary action, what fills it; and beside it the panel of the thing that is selected. */
export function Page({ title, told, action, panel, children }: { title: string; told?: React.ReactNode; action?: React.ReactNode; panel?: React.ReactNode; children: React.ReactNode }) {
  return (
    <div className="flex min-h-full">
      <div className="min-w-0 flex-1 px-4 py-4 md:px-6 md:py-5">
        <header className="flex flex-wrap items-center justify-between gap-x-4 gap-y-2 mb-4">
          <div className="min-w-0">
            <h1 className="text-xl">{title}</h1>
            {told && <p className="text-mute">{told}</p>}
          </div>
          {action && <div className="flex items-center gap-2">{action}</div>}
        </header>
        {children}
      </div>
      {panel}
    </div>
  );
}

export function Card({ title, action, children, className = "" }: { title?: string; action?: React.ReactNode; children: React.ReactNode; className?: string }) {
  return (
    <section className={`rounded border border-line bg-paper ${className}`}>
      {title && (
        <div className="flex items-center justify-between gap-3 px-4 h-10 border-b border-line">
          <h2 className="text-base">{title}</h2>
          {action}
        </div>
      )}
      {children}
    </section>
  );
}
