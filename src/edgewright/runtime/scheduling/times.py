"""Run times: what one model takes for so many rows, learned from its own runs."""

from __future__ import annotations

import math
from collections import deque

_WINDOW = 64
_REFRESH = 32
_SIZES = 256
"""Numbers of rows that are told apart: clients choose them, and must not fill the memory."""


class RunTimes:
    """Recent run times of one session, in s, by rows. What is told of them is refreshed now and then: asking is cheap.

    Until a size was seen it is taken from the nearest one known, in proportion to the rows where it is larger: more
    rows at once have never been dearer than one after the other.
    """

    __slots__ = ("_guess", "_kept", "_known", "_left", "mean_s", "usual_s")

    def __init__(self, guess_s: float = 0.001) -> None:
        self._guess = guess_s
        self.mean_s = self.usual_s = guess_s
        """Of one row: ``mean()`` and ``usual()``, for who asks at each request."""
        self._kept: dict[int, deque[float]] = {}
        self._known: dict[int, tuple[float, float, float]] = {}
        self._left = 0

    def add(self, rows: int, seconds: float) -> None:
        """One run of ``rows`` took ``seconds``; of no rows counts as of one."""
        rows = rows or 1
        kept = self._kept.get(rows)
        if kept is None:
            if len(self._kept) >= _SIZES:
                oldest = next(iter(self._kept))
                del self._kept[oldest], self._known[oldest]
            kept = self._kept[rows] = deque(maxlen=_WINDOW)
        kept.append(seconds)
        self._left -= 1
        if self._left < 0 or rows not in self._known:
            self._left = min(len(kept), _REFRESH)
            mean = sum(kept) / len(kept)
            spread = math.sqrt(sum([(x - mean) ** 2 for x in kept]) / len(kept))
            self._known[rows] = mean, spread, sorted(kept)[len(kept) // 2]
            self.mean_s, _, self.usual_s = self._of(1)

    @property
    def learned(self) -> bool:
        """Whether any run was seen."""
        return bool(self._known)

    def usual(self, rows: int = 1) -> float:
        """The median, in s: what one run more or less that took long does not change."""
        return self._of(rows)[2]

    def mean(self, rows: int = 1) -> float:
        """Seconds to expect for ``rows`` at once."""
        return self._of(rows)[0]

    def spread(self, rows: int = 1) -> float:
        """The standard deviation of that, in s."""
        return self._of(rows)[1]

    def _of(self, rows: int) -> tuple[float, float, float]:
        found = self._known.get(rows)
        if found is not None:
            return found
        known = self._known.copy()  # whole: another thread may learn a new size meanwhile
        if not known:
            return self._guess * rows, self._guess, self._guess * rows
        nearest = min(known, key=lambda size: abs(size - rows))
        scale = max(rows / nearest, 1.0)
        mean, spread, usual = known[nearest]
        return mean * scale, spread * scale, usual * scale
