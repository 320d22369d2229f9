"""Run times: what one model takes for so many rows, learned from its own runs."""

from __future__ import annotations

import math
from collections import deque

_WINDOW = 64
_REFRESH = 8


class RunTimes:
    """Recent run times of one session, in s, by rows. Mean and spread are refreshed every few runs: asking is cheap.

    Until a size was seen it is taken from the nearest one known, in proportion to the rows where it is larger: more
    rows at once have never been dearer than one after the other.
    """

    __slots__ = ("_guess", "_kept", "_known", "_news")

    def __init__(self, guess_s: float = 0.001) -> None:
        self._guess = guess_s
        self._kept: dict[int, deque[float]] = {}
        self._known: dict[int, tuple[float, float]] = {}
        self._news = 0

    def add(self, rows: int, seconds: float) -> None:
        """One run of ``rows`` took ``seconds``."""
        kept = self._kept.get(rows)
        if kept is None:
            kept = self._kept[rows] = deque(maxlen=_WINDOW)
        kept.append(seconds)
        self._news += 1
        if rows not in self._known or self._news >= _REFRESH:
            self._news = 0
            mean = sum(kept) / len(kept)
            self._known[rows] = mean, math.sqrt(sum((x - mean) ** 2 for x in kept) / len(kept))

    def mean(self, rows: int = 1) -> float:
        """Seconds to expect for ``rows`` at once."""
        return self._of(rows)[0]

    def spread(self, rows: int = 1) -> float:
        """The standard deviation of that, in s."""
        return self._of(rows)[1]

    def _of(self, rows: int) -> tuple[float, float]:
        found = self._known.get(rows)
        if found is not None:
            return found
        if not self._known:
            return self._guess * rows, self._guess
        nearest = min(self._known, key=lambda known: abs(known - rows))
        mean, spread = self._known[nearest]
        scale = max(rows / nearest, 1.0)
        return mean * scale, spread * scale
