"""Words: figures as people read them."""

from __future__ import annotations


def time(seconds: float) -> str:
    """Three digits and a unit."""
    if seconds >= 1:
        return f"{seconds:.3g} s"
    return f"{1e3 * seconds:.3g} ms" if seconds >= 1e-3 or not seconds else f"{1e6 * seconds:.3g} µs"


def percent(share: float) -> str:
    """Whole ones, and below one two digits."""
    told = 100 * share
    return f"{told:.0f}%" if told >= 1 or not told else f"{told:.2g}%"


def many(count: int, what: str) -> str:
    """``1 core``, ``2 cores``."""
    return f"{count:,} {what}{'' if count == 1 else 's'}"
