/** A small course of numbers; a gap where there is none. No axis: the figure beside it says what it is. */
export function Spark({ values, width = 120, height = 28, label }: { values: (number | null)[]; width?: number; height?: number; label: string }) {
  const known = values.filter((one): one is number => one !== null);
  if (known.length < 2) return <div style={{ width, height }} aria-hidden="true" />;
  const low = Math.min(...known);
  const high = Math.max(...known);
  const x = (i: number) => 2 + (i * (width - 6)) / (values.length - 1);
  const y = (v: number) => (high === low ? height / 2 : 3 + ((high - v) * (height - 6)) / (high - low));
  let path = "";
  values.forEach((v, i) => {
    if (v !== null) path += `${i === 0 || values[i - 1] === null ? "M" : "L"}${x(i).toFixed(1)} ${y(v).toFixed(1)}`;
  });
  const last = values.findLastIndex((one) => one !== null);
  return (
    <svg width={width} height={height} viewBox={`0 0 ${width} ${height}`} role="img" aria-label={label} className="overflow-visible">
      <path d={path} fill="none" stroke="var(--mute)" strokeWidth="1.25" strokeLinejoin="round" />
      <circle cx={x(last)} cy={y(values[last] as number)} r="2.2" fill="var(--accent)" />
    </svg>
  );
}
