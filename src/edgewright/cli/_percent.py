"""Shares as people write them."""

from __future__ import annotations

import argparse
import math


def percent(text: str) -> float:
    """A share (0 to 1) of ``2%`` or ``2``, both of which are 2 per cent. Raises ArgumentTypeError."""
    try:
        value = float(text.strip().removesuffix("%")) / 100
    except ValueError:
        value = math.nan
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no percentage; write it as 2%")
    return value
