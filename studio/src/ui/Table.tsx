/** A list in rows; where it is wider than its place, a shadow at that side says that it goes on. */
export function Table({ label, head, children }: { label: string; head: string[]; children: React.ReactNode }) {
  return (
    <div className="relative overflow-x-auto goes-on rounded border border-line bg-paper" tabIndex={0} role="region" aria-label={label}>
      <table className="w-full">
        <thead className="text-left text-sm text-mute">
          <tr>{head.map((one, i) => <th key={one || i} scope="col" className="font-medium px-4 h-9 whitespace-nowrap">{one || <span className="sr-only">{label}</span>}</th>)}</tr>
        </thead>
        <tbody className="[&>tr]:border-t [&>tr]:border-line [&_td]:px-4 [&_td]:py-2 [&_td]:align-top">{children}</tbody>
      </table>
    </div>
  );
}
