"""Figures as text: decimal prefixes, and paragraphs that hang under their label."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Sequence

_PREFIXES = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


def scaled(value: float, unit: str) -> str:
    """``value`` with a decimal prefix and four significant digits: ``1.814 GMAC``, ``44.7 MB``."""
    for size, prefix in _PREFIXES:
        if value >= size:
            return f"{value / size:.4g} {prefix}{unit}"
    return f"{value:.4g} {unit}"


def share(part: float) -> str:
    """A share as a percentage that says neither 0% nor 100% of what is not."""
    if 0 < part < 0.001:
        return "<0.1%"
    if 0.999 < part < 1:
        return ">99.9%"
    return f"{part:.1%}" if 0 < part < 1 else f"{part:.0%}"


def hanging(label: str, text: str, indent: int = 16) -> str:
    """``label`` in a column of ``indent``, ``text`` beside it, wrapped to the terminal."""
    width = max(shutil.get_terminal_size((120, 24)).columns, indent + 40)
    return textwrap.fill(
        text, width, initial_indent=f"{label:<{indent - 1}} ", subsequent_indent=" " * indent,
        break_on_hyphens=False, break_long_words=False,
    )  # fmt: skip


def columns(rows: Sequence[Sequence[str]], right: Sequence[int] = (), indent: str = "  ") -> str:
    """Rows of equal length in columns; those numbered in ``right`` are aligned to the right."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [c.rjust(w) if i in right else c.ljust(w) for i, (c, w) in enumerate(zip(row, widths, strict=True))]
        lines.append((indent + "  ".join(cells)).rstrip())
    return "\n".join(lines)


def shortened(text: str, most: int = 40) -> str:
    """``text``, its middle left out when it is longer than ``most``."""
    half = (most - 1) // 2
    return text if len(text) <= most else f"{text[: most - half - 1]}…{text[-half:]}"
