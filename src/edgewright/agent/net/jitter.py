"""Jitter: when to ask again, so that ten thousand devices that lost one hub do not come back in one moment.

Full jitter on an exponential back-off (Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015): any
time up to 1 s, then up to twice as long each time, up to 5 minutes.
"""

from __future__ import annotations

import random
from collections.abc import Callable

FIRST_S, LONGEST_S = 1.0, 300.0


class Jitter:
    """``draw``: uniform from 0 to 1."""

    def __init__(self, draw: Callable[[], float] = random.random) -> None:
        self._draw, self.failures = draw, 0

    def failed(self, after_s: float = 0.0) -> float:
        """How long to wait after one more failure, in s; ``after_s``: as the hub asked for, which is the least."""
        longest = min(FIRST_S * 2.0 ** min(self.failures, 16), LONGEST_S)
        self.failures += 1
        return after_s + self._draw() * longest

    def succeeded(self) -> float:
        """How long to wait before the next call: a moment."""
        self.failures = 0
        return self._draw() * FIRST_S / 2
