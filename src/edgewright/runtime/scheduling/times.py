"""Run times: what one model takes for so many rows, learned from its own runs."""

from __future__ import annotations

import math
from collections import deque

_WINDOW = 64
_REFRESH = 32
_SIZES = 256
"""Numbers of rows that are told apart: clients choose them, and must not fill the memory."""


class _Size:
    """Recent run times of so many rows; ``left``: how many more until what is told of them is worked out anew."""

    __slots__ = ("kept", "left")

    def __init__(self) -> None:
        self.kept: deque[float] = deque(maxlen=_WINDOW)
        self.left = 0


class RunTimes:
    """Recent run times of one session, in s, by rows. What is told of them is refreshed now and then: asking is cheap.

    Until a size was seen it is taken from the nearest one known: in proportion to the rows where it is larger, since
    more rows at once have never been dearer than one after the other, or smaller than all known, so that it is tried.
    """

    __slots__ = ("_guess", "_known", "_sizes", "mean_s", "usual_s")

    def __init__(self, guess_s: float = 0.001) -> None:
        self._guess = guess_s
        self.mean_s = self.usual_s = guess_s
        """Of one row: ``mean()`` and ``usual()``, for who asks at each request."""
        self._sizes: dict[int, _Size] = {}
        self._known: dict[int, tuple[float, float, float]] = {}

    def add(self, rows: int, seconds: float) -> None:
        """One run of ``rows`` took ``seconds``; of no rows counts as of one."""
        rows = rows or 1
        size = self._sizes.get(rows)
        if size is None:
            if rows not in self._known and len(self._known) >= _SIZES:
                oldest = next(iter(self._known))
                del self._known[oldest]
                self._sizes.pop(oldest, None)
            size = self._sizes[rows] = _Size()
        kept = size.kept
        kept.append(seconds)
        size.left -= 1
        if size.left < 0:
            size.left = min(len(kept), _REFRESH)
            mean = sum(kept) / len(kept)
            spread = math.sqrt(sum([(x - mean) ** 2 for x in kept]) / len(kept))
            self._known[rows] = mean, spread, sorted(kept)[len(kept) // 2]
            self.mean_s, _, self.usual_s = self._of(1)

    def forget(self) -> None:
        """Begin anew with each size's next run; until then what was known of it is told."""
        self._sizes.clear()

    @property
    def learned(self) -> bool:
        """Whether any run was seen."""
        return bool(self._known)

    def usual(self, rows: int = 1) -> float:
        """The median, in s: what one run more or less that took long does not change."""
        return self._of(rows)[2]

    def latest(self, rows: int = 1) -> float:
        """What the latest run of just so many took, in s; infinity where that is not known."""
        size = self._sizes.get(rows or 1)
        return size.kept[-1] if size is not None and size.kept else math.inf

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
        scale = rows / nearest if rows > nearest or rows < min(known) else 1.0
        mean, spread, usual = known[nearest]
        return mean * scale, spread * scale, usual * scale
