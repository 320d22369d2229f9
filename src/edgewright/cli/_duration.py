"""Times as people write them."""

from __future__ import annotations

import argparse
import re

_UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0}
_LONGEST = 31 * 24 * 3600.0


def duration(text: str) -> float:
    """Seconds of ``90``, ``90s``, ``5m`` or ``1h``. Raises ArgumentTypeError for what is no time up to a month."""
    if not (seconds := pause(text)):
        raise argparse.ArgumentTypeError(f"{text!r} is no time at all; give more, as 90s, 5m or 1h")
    return seconds


def pause(text: str) -> float:
    """The same, and 0 for none."""
    found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)(s|m|h|)", text.strip())
    if found is None or (seconds := float(found[1]) * _UNITS[found[2]]) > _LONGEST:
        raise argparse.ArgumentTypeError(f"{text!r} is no time up to a month; write it as 90s, 5m or 1h")
    return seconds
