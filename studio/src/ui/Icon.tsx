const PATHS = {
  overview: "M2.5 8.5h4v5h-4zM2.5 2.5h4v3h-4zM9.5 2.5h4v5h-4zM9.5 10.5h4v3h-4z",
  accelerator: "M2.5 13.5v-11M2.5 13.5h11M5 10.5c1-4 3-5.500 8-6M5.500 6.500h.01M8.500 9.500h.01M11.500 8h.01",
  models: "m8 2 5.500 3v6L8 14l-5.500-3V5zM2.500 5 8 8m0 6V8m5.500-3L8 8",
  benchmarks: "M2.500 13.500h11M4 13v-3c0-2 1-2 1.500-4S6.500 3 7.500 3 9 5 9.500 7s1.500 2.500 2.500 3v3",
  devices: "M3.500 3.500h9v9h-9zM6.500 6.500h3v3h-3zM6 1.500v2M10 1.500v2M6 12.500v2M10 12.500v2M1.500 6h2M1.500 10h2M12.500 6h2M12.500 10h2",
  fleet: "M2.500 2.500h3v3h-3zM6.500 2.500h3v3h-3zM10.500 2.500h3v3h-3zM2.500 6.500h3v3h-3zM6.500 6.500h3v3h-3zM10.500 6.500h3v3h-3zM2.500 10.500h3v3h-3zM6.500 10.500h3v3h-3z",
  exports: "M8 2v8m0 0L5 7m3 3 3-3M2.500 11v2.500h11V11",
  alerts: "M8 2.500c-2.500 0-3.800 1.800-3.800 4.200 0 2.800-1.200 4.300-1.200 4.300h10s-1.200-1.500-1.200-4.300C11.800 4.300 10.500 2.500 8 2.500ZM6.700 13.300h2.600",
  settings: "M2.500 4.500h5m4 0h2m-4-1.800v3.600M2.500 11.500h2m4 0h5m-7-1.800v3.600",
  search: "M7 12A5 5 0 1 0 7 2a5 5 0 0 0 0 10Zm3.700-1.300L14 14",
  close: "m4 4 8 8m0-8-8 8",
  menu: "M2.500 4.500h11M2.500 8h11M2.500 11.500h11",
  copy: "M5.500 5.500h8v8h-8zM10.500 5.500v-3h-8v8h3",
  check: "m3 8.500 3.500 3.500L13 4.500",
  user: "M8 8.500a3 3 0 1 0 0-6 3 3 0 0 0 0 6ZM2.500 14c.5-3 2.700-4 5.500-4s5 1 5.500 4",
  down: "m4 6 4 4 4-4",
  arrow: "M3 8h10m0 0L9 4m4 4-4 4",
  upload: "M8 10V2m0 0L5 5m3-3 3 3M2.500 11v2.500h11V11",
  plus: "M8 3v10M3 8h10",
  pause: "M5.500 3.500v9m5-9v9",
  back: "M6 3 2.500 6.500 6 10M2.500 6.500H10a3.500 3.500 0 0 1 0 7H6",
} as const;
export type IconName = keyof typeof PATHS;

export function Icon({ name, size = 16 }: { name: IconName; size?: number }) {
  return (
    <svg
      width={size} height={size} viewBox="0 0 16 16" fill="none" stroke="currentColor" strokeWidth="1.3" strokeLinecap="round"
      strokeLinejoin="round" aria-hidden="true" className="shrink-0"
    >
      <path d={PATHS[name]} />
    </svg>
  );
}

export function IconButton({ icon, label, onClick, className = "" }: { icon: IconName; label: string; onClick: () => void; className?: string }) {
  return (
    <button
      type="button" aria-label={label} title={label} onClick={onClick}
      className={`size-8 -m-1 grid place-items-center rounded text-mute hover:text-ink hover:bg-line/50 ${className}`}
    >
      <Icon name={icon} />
    </button>
  );
}
