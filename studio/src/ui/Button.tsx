import type { ButtonHTMLAttributes } from "react";
import { Link } from "wouter";

type Kind = "primary" | "plain" | "quiet" | "danger";

const LOOKS: Record<Kind, string> = {
  primary: "bg-fill text-on-fill border-transparent hover:brightness-110 disabled:opacity-50",
  plain: "bg-paper border-line hover:border-mute disabled:opacity-50",
  quiet: "border-transparent text-mute hover:text-ink hover:bg-line/50",
  danger: "bg-paper border-line text-bad hover:border-bad disabled:opacity-50",
};
const SHAPE =
  "inline-flex items-center justify-center gap-1.5 h-8 px-3 rounded border text-base font-medium whitespace-nowrap select-none transition-colors duration-100";

export function Button({ kind = "plain", className = "", ...rest }: { kind?: Kind } & ButtonHTMLAttributes<HTMLButtonElement>) {
  return <button type="button" {...rest} className={`${SHAPE} ${LOOKS[kind]} ${className}`} />;
}

export function ButtonLink({ kind = "plain", href, children }: { kind?: Kind; href: string; children: React.ReactNode }) {
  return (
    <Link href={href} className={`${SHAPE} ${LOOKS[kind]}`}>
      {children}
    </Link>
  );
}
