"""Admission: how far a predicted end is to be trusted. Pure.

The margin kept before a deadline is learnt from the predictions themselves: it is how much later than predicted those
who were let in came to be done, at the worst. That covers what no model of run times does (a thread that was not woken,
another program on the machine), as split conformal prediction does for regression (Vovk, Gammerman, Shafer:
"Algorithmic Learning in a Random World", 2005), over a window, because machines change. Under overload its price is
small: there is always somebody with more time whose request runs instead. It stays below a share of the time that
requests have, so that one stall of the machine does not shut everybody out; and who finds nobody before him is let in
without it: a refusal would help no one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from edgewright.runtime.scheduling.line import NEVER, Line, Waiting

_WINDOW = 2048
_ENOUGH = 64
_REFRESH = 32
_REMEMBERED = 256
_SHARE = 0.7
"""Of the time that requests usually have beyond their run: in simulations (tests/runtime/test_line.py) the largest that
keeps the machine used when one run in two thousand takes fifteen times as long."""
_SPREADS = 3.0
"""Standard deviations of the runs ahead that are kept free while little was learnt, or where nobody is ahead."""


class Admission:
    """Lets requests in by predicted finish, and learns from how those predictions came out."""

    def __init__(self) -> None:
        self._late: deque[float] = deque(maxlen=_WINDOW)
        self._slacks: deque[float] = deque(maxlen=_REMEMBERED)
        self._news = self._asked = 0
        self._worst = 0.0
        self._most = 0.0

    @property
    def margin(self) -> float:
        """What is kept free before a deadline, in s."""
        return min(self._worst, self._most)

    def finish(self, line: Line, new: Waiting, free: Sequence[float], now: float) -> float | None:
        """When ``new`` should be done, or None when that is not safely before its deadline, or costs somebody else
        theirs; ``free``: when each executor can begin something."""
        if new.deadline < NEVER:
            self._slacks.append(new.deadline - now - new.cost)
            self._asked += 1
            if self._asked % _REFRESH == 1:
                self._most = _SHARE * max(sorted(self._slacks)[len(self._slacks) // 2], 0.0)
        if not len(line) and min(free) <= now:
            return line.finish(new, free, _SPREADS)
        return line.finish(new, free, 0.0 if len(self._late) >= _ENOUGH else _SPREADS, self.margin)

    def learn(self, late_s: float) -> None:
        """Somebody who was let in was done (or was found not to be) so much later than predicted; negative: earlier."""
        self._late.append(late_s)
        self._news += 1
        if self._news >= _REFRESH or late_s > self._worst:
            self._news = 0
            self._worst = max(*self._late, 0.0)
