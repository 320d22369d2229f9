"""The line: what waits, in the order in which it will run. Pure: no lock, no clock, no thread.

Earliest deadline first within each priority, across all models (Liu and Layland, Journal of the ACM 20, 1973: optimal
on one processor as long as everything admitted can be met, which admission sees to). Priority 1 is the most urgent;
what has no deadline goes last within its priority until its ``turn``.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right, insort
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any

NEVER = float("inf")
URGENT = 1
"""The priority whose requests must not wait for batches of others."""


@dataclass(eq=False, slots=True)
class Waiting:
    """One request in line. Times in s on the scheduler's clock.

    ``cost``: how much longer those behind it wait for it: its run, or, where others could share that, a part of it;
    ``spread`` the standard deviation of that.
    """

    priority: int
    deadline: float
    number: int
    cost: float
    job: Any
    spread: float = 0.0
    alone: float = 0.0
    """What its own run usually takes at the least: without company."""
    model: Any = None
    """What runs once at a time."""
    rows: int = 0
    """What it brings to a run that others may share, those of the same model and ``key``; 0 where none may."""
    key: Any = None
    promised: float = 0.0
    """When it should be done, as it was predicted when it was let in, those counted who were let in before it since."""
    gone: bool = False
    turn: float = NEVER
    """From when on it goes before what comes with a later deadline, though it has none itself."""
    rank: tuple[int, float, int] = field(init=False, repr=False)
    """The less the sooner."""

    def __post_init__(self) -> None:
        self.rank = self.priority, min(self.deadline, self.turn), self.number

    def __lt__(self, other: Waiting) -> bool:
        return self.rank < other.rank


class Line:
    """Requests in the order in which they run: ``waiting``, to be changed through ``join`` and ``leave`` alone."""

    def __init__(self) -> None:
        self.waiting: list[Waiting] = []

    def __len__(self) -> int:
        return len(self.waiting)

    def __iter__(self) -> Iterator[Waiting]:
        return iter(self.waiting)

    @property
    def last(self) -> Waiting:
        """The least urgent."""
        return self.waiting[-1]

    def finish(
        self, new: Waiting, free: Sequence[float], busy: Mapping[Any, float] | None = None, spreads: float = 0.0,
        margin: float = 0.0,
    ) -> float | None:  # fmt: skip
        """When ``new`` would be done if it joined now; ``free``: when each executor can begin something; ``busy``: when
        the run of a model will end that goes on now.

        None when it, or one of its own priority behind it that was promised its deadline, would then be late. Those of
        lower priorities were promised less: they are looked at again before they run. Late is what ends after the
        deadline by ``spreads`` standard deviations of all runs until then (their variances add) and ``margin`` s.
        """
        place = bisect_left(self.waiting, new)
        order = [*self.waiting[:place], new, *self.waiting[place:]]
        variance, done = 0.0, None
        for one, end in zip(order, _ends(order, free, busy or {}), strict=True):
            variance += one.spread**2
            if one is new:
                done = end
            elif done is None:
                continue
            elif one.priority != new.priority:
                break
            if end + spreads * math.sqrt(variance) + margin > one.deadline:
                return None
        return done

    def join(self, new: Waiting, executors: int = 1) -> None:
        """Take a place; those behind it will be done so much later."""
        place = bisect_left(self.waiting, new)
        for behind in self.waiting[place:]:
            if behind.promised:
                behind.promised += new.cost if behind.model is new.model else new.cost / executors
        self.waiting.insert(place, new)

    def leave(self, one: Waiting) -> None:
        """Give a place up. Nothing happens when it is not in line."""
        place = bisect_left(self.waiting, one)
        if place < len(self.waiting) and self.waiting[place] is one:
            del self.waiting[place]

    def hopeless(self, now: float) -> list[Waiting]:
        """Those that can no longer be done in time even if they ran at once."""
        return [w for w in self.waiting if now + w.alone > w.deadline]

    def next_deadline(self) -> float:
        """When the first of those in line will be hopeless; infinity when none will."""
        return min((w.deadline - w.alone for w in self.waiting), default=NEVER)


def _ends(order: Sequence[Waiting], free: Sequence[float], busy: Mapping[Any, float]) -> Iterator[float]:
    """When each will be done. A model's runs follow one another, as good as on one executor: the one that is the last
    to come free before they can begin."""
    kinds: dict[Any, deque[Waiting]] = {}
    for one in order:
        if one.rows:
            kinds.setdefault((one.model, one.key), deque()).append(one)
    if len(free) == 1 and not kinds:
        yield from accumulate([free[0] + order[0].cost, *[one.cost for one in order[1:]]])
        return
    left, ready, ends = sorted(free), dict(busy), dict[int, float]()
    for one in order:
        if one.number not in ends:
            can = ready.get(one.model, 0.0)
            begin = max(left.pop(max(bisect_right(left, can) - 1, 0)), can)
            members, takes = _together(kinds[one.model, one.key], begin) if one.rows else ([one], one.cost)
            ready[one.model] = begin + takes
            insort(left, begin + takes)
            ends |= dict.fromkeys([member.number for member in members], begin + takes)
        yield ends[one.number]


def _together(kind: deque[Waiting], begin: float) -> tuple[list[Waiting], float]:
    """Who of a kind will share the next run, as far as one can tell now, and how long that takes."""
    first = kind.popleft()
    members, rows, beside, latest = [first], first.rows, first.job.beside_s, first.deadline
    times, most = first.model.times, first.model.most_rows
    takes: float = times.mean(rows) + beside
    while kind and rows + kind[0].rows <= most:
        other = kind[0]
        longer = times.mean(rows + other.rows) + beside + other.job.beside_s
        if begin + longer > min(latest, other.deadline):
            break
        members.append(kind.popleft())
        rows, beside = rows + other.rows, beside + other.job.beside_s
        takes, latest = longer, min(latest, other.deadline)
    return members, takes
