"""The line: what waits, in the order in which it will run. Pure: no lock, no clock, no thread.

Earliest deadline first within each priority, across all models (Liu and Layland, Journal of the ACM 20, 1973: optimal
on one processor as long as everything admitted can be met, which admission sees to). Priority 1 is the most urgent;
what has no deadline goes last within its priority.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

NEVER = float("inf")


@dataclass(order=True, slots=True)
class Waiting:
    """One request in line. Times in s on the scheduler's clock; ``cost`` is what it is expected to take."""

    priority: int
    deadline: float
    number: int
    cost: float = field(compare=False)
    job: Any = field(compare=False)
    gone: bool = field(default=False, compare=False)


class Line:
    """Requests in the order in which they run."""

    def __init__(self) -> None:
        self._waiting: list[Waiting] = []
        self.work = 0.0
        """Seconds of work in line."""

    def __len__(self) -> int:
        return len(self._waiting)

    def __iter__(self) -> Iterator[Waiting]:
        return iter(self._waiting)

    def finish(self, new: Waiting, start: float, margin: float = 0.0) -> float | None:
        """When ``new`` would be done if it joined now, ``start`` being when the next one begins.

        None when it, or one of its own priority behind it that was promised its deadline, would be late by that. Those
        of lower priorities behind it were promised less: they are looked at again before they run.
        """
        place = bisect_left(self._waiting, new)
        ahead = sum(w.cost for w in self._waiting[:place])
        done = start + ahead + new.cost
        if done + margin > new.deadline:
            return None
        late = done
        for behind in self._waiting[place:]:
            if behind.priority != new.priority:
                break
            late += behind.cost
            if late > behind.deadline:
                return None
        return done

    def join(self, new: Waiting) -> None:
        """Take a place."""
        insort(self._waiting, new)
        self.work += new.cost

    def leave(self, one: Waiting) -> None:
        """Give a place up. Nothing happens when it is not in line."""
        place = bisect_left(self._waiting, one)
        if place < len(self._waiting) and self._waiting[place] is one:
            del self._waiting[place]
            self.work = self.work - one.cost if self._waiting else 0.0

    def head(self) -> Waiting | None:
        """Who runs next."""
        return self._waiting[0] if self._waiting else None

    def hopeless(self, now: float) -> list[Waiting]:
        """Those that can no longer be done in time even if they ran at once, taken out of the line."""
        found = [w for w in self._waiting if now + w.cost > w.deadline]
        for one in found:
            self.leave(one)
        return found

    def next_deadline(self) -> float:
        """When the first of those in line will be hopeless; infinity when none will."""
        return min((w.deadline - w.cost for w in self._waiting), default=NEVER)
