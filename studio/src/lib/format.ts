const WHOLE = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });

/** A whole number with its thousands apart. */
export function count(n: number): string {
  return WHOLE.format(n);
}

/** A value in three significant digits. */
export function value(n: number): string {
  if (!Number.isFinite(n)) return "–";
  if (n === 0) return "0";
  const digits = Math.max(0, 2 - Math.floor(Math.log10(Math.abs(n))));
  return Math.abs(n) >= 1000 ? count(n) : n.toFixed(Math.min(digits, 6)).replace(/(\.\d*?)0+$/, "$1").replace(/\.$/, "");
}

/** A share between 0 and 1 as a percentage that never rounds to all or nothing when it is not. */
export function share(part: number, whole: number): string {
  if (whole === 0) return "–";
  const percent = (100 * part) / whole;
  if (percent > 99.9 && part < whole) return "99.9+";
  if (percent < 0.1 && part > 0) return "<0.1";
  return percent >= 99.95 || percent === 0 ? String(Math.round(percent)) : percent.toFixed(1);
}

export function bytes(n: number): string {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let size = n;
  let unit = 0;
  while (size >= 1000 && unit < units.length - 1) {
    size /= 1000;
    unit += 1;
  }
  return `${value(size)} ${units[unit]}`;
}

/** A count in three significant digits: 65.5 k, 9.44 M, 1.2 G. */
export function si(n: number): string {
  const unit = Math.min(4, Math.max(0, Math.floor(Math.log10(Math.max(1, Math.abs(n))) / 3)));
  return `${value(n / 1000 ** unit)}${["", " k", " M", " G", " T"][unit]}`;
}

/** Seconds as people say them. */
export function span(seconds: number): string {
  const s = Math.max(0, Math.round(seconds));
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min${s < 600 && s % 60 ? ` ${s % 60} s` : ""}`;
  if (s < 86400) return `${Math.floor(s / 3600)} h${s < 36000 && Math.floor((s % 3600) / 60) ? ` ${Math.floor((s % 3600) / 60)} min` : ""}`;
  return `${Math.floor(s / 86400)} d`;
}

export function short(digest: string): string {
  return digest.slice(0, 12);
}
