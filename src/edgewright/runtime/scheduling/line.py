"""The line: what waits, in the order in which it will run. Pure: no lock, no clock, no thread.

Earliest deadline first within each priority, across all models (Liu and Layland, Journal of the ACM 20, 1973: optimal
on one processor as long as everything admitted can be met, which admission sees to). Priority 1 is the most urgent;
what has no deadline goes last within its priority.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from heapq import heapify, heapreplace
from typing import Any

NEVER = float("inf")


@dataclass(order=True, slots=True)
class Waiting:
    """One request in line. Times in s on the scheduler's clock.

    ``cost`` is what it is expected to take, ``spread`` the standard deviation of that.
    """

    priority: int
    deadline: float
    number: int
    cost: float = field(compare=False)
    job: Any = field(compare=False)
    spread: float = field(default=0.0, compare=False)
    promised: float = field(default=0.0, compare=False)
    """When it should be done, as it was predicted when it was let in, those counted who were let in before it since."""
    gone: bool = field(default=False, compare=False)


class Line:
    """Requests in the order in which they run: ``waiting``, to be changed through ``join`` and ``leave`` alone."""

    def __init__(self) -> None:
        self.waiting: list[Waiting] = []

    def __len__(self) -> int:
        return len(self.waiting)

    def __iter__(self) -> Iterator[Waiting]:
        return iter(self.waiting)

    def finish(self, new: Waiting, free: Sequence[float], spreads: float = 0.0, margin: float = 0.0) -> float | None:
        """When ``new`` would be done if it joined now; ``free``: when each executor can begin something.

        None when it, or one of its own priority behind it that was promised its deadline, would then be late. Those of
        lower priorities were promised less: they are looked at again before they run. Late is what ends after the
        deadline by ``spreads`` standard deviations of all runs until then (their variances add) and ``margin`` s.
        """
        place = bisect_left(self.waiting, new)
        heap = list(free)
        heapify(heap)
        variance = 0.0
        for ahead in self.waiting[:place]:
            heapreplace(heap, heap[0] + ahead.cost)
            variance += ahead.spread**2
        done = heap[0] + new.cost
        variance += new.spread**2
        if done + spreads * math.sqrt(variance) + margin > new.deadline:
            return None
        heapreplace(heap, done)
        for behind in self.waiting[place:]:
            if behind.priority != new.priority:
                break
            end = heap[0] + behind.cost
            heapreplace(heap, end)
            variance += behind.spread**2
            if behind.deadline < NEVER and end + spreads * math.sqrt(variance) + margin > behind.deadline:
                return None
        return done

    def join(self, new: Waiting, executors: int = 1) -> None:
        """Take a place; those behind it will be done so much later."""
        place = bisect_left(self.waiting, new)
        for behind in self.waiting[place:]:
            if behind.promised:
                behind.promised += new.cost / executors
        self.waiting.insert(place, new)

    def leave(self, one: Waiting) -> None:
        """Give a place up. Nothing happens when it is not in line."""
        place = bisect_left(self.waiting, one)
        if place < len(self.waiting) and self.waiting[place] is one:
            del self.waiting[place]

    def hopeless(self, now: float) -> list[Waiting]:
        """Those that can no longer be done in time even if they ran at once, taken out of the line."""
        found = [w for w in self.waiting if now + w.cost > w.deadline]
        for one in found:
            self.leave(one)
        return found

    def next_deadline(self) -> float:
        """When the first of those in line will be hopeless; infinity when none will."""
        return min((w.deadline - w.cost for w in self.waiting), default=NEVER)
