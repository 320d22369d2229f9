"""Jitter: when to ask again, so that ten thousand devices that lost one hub do not come back in one moment.

Full jitter on an exponential back-off (Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015): any
time up to 1 s, then up to twice as long each time, up to 5 minutes. A hub with many devices says over how long a time
all of them should come back (``Edgewright-Spread``): then the first wait is drawn from that already.
"""

from __future__ import annotations

import random
from collections.abc import Callable

FIRST_S, LONGEST_S = 1.0, 300.0
CALM_S = 10.0
"""A poll that was parked for so long was a success: what ends it then is the first failure of a new trouble."""


class Jitter:
    """``draw``: uniform from 0 to 1. ``spread_s``: the longest of the first waits, as the hub said last."""

    def __init__(self, draw: Callable[[], float] = random.random) -> None:
        self._draw, self.failures, self.spread_s = draw, 0, FIRST_S

    def heard(self, spread: str) -> None:
        """Take the spread over from an answer's header, "" for none."""
        self.spread_s = (
            min(max(float(spread), FIRST_S), LONGEST_S) if spread.isdecimal() and len(spread) < 6 else FIRST_S
        )

    def failed(self, after_s: float = 0.0) -> float:
        """How long to wait after one more failure, in s; ``after_s``: as the hub asked for, which is the least."""
        longest = max(min(FIRST_S * 2.0 ** min(self.failures, 16), LONGEST_S), self.spread_s)
        self.failures += 1
        return after_s + self._draw() * longest

    def succeeded(self) -> float:
        """How long to wait before the next call: a moment."""
        self.failures = 0
        return self._draw() * FIRST_S / 2
