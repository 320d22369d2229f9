"""Versions: which of them is the newest. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping

_NUMBERED = re.compile(r"v?[0-9]+([.+_-].*)?", re.DOTALL)
_MOST_DIGITS = 100


def ordered(written: Mapping[str, int]) -> list[str]:
    """The versions of one model, the newest last. ``written``: when each one's files were, on any one clock.

    By number where all have one: 10 comes after 9, 2.0 after 1.9, 1.0 after 1.0-rc. Else (a bundle that was sealed by
    ``optimize`` is versioned by a digest) by when they were written, those written at once by name.
    """
    if all(map(_NUMBERED.fullmatch, written)):
        return sorted(written, key=lambda version: (_numbers(version), version))
    return sorted(written, key=lambda version: (written[version], version))


def _numbers(version: str) -> list[tuple[int, int, str]]:
    parts = re.findall(r"[0-9]+|[^0-9.]+", version)
    # 1.0-rc comes before 1.0, and that before 1.0.1.
    return [
        *[(2, int(part), "") if part.isdecimal() and len(part) <= _MOST_DIGITS else (0, 0, part) for part in parts],
        (1, 0, ""),
    ]
