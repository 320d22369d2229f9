"""Which reports of a device were taken: boots and sequence numbers, as intervals: few, sequences being dense."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

MOST_BOOTS, MOST_GAPS = 64, 64

Interval = tuple[int, int]
"""First and last sequence number, both taken."""


@dataclass(frozen=True)
class Seen:
    """Intervals by boot, boots in the order in which they were first seen.

    Bounded: of more than ``MOST_GAPS`` gaps in a boot the oldest is closed, as if what is missing there had come; of
    more than ``MOST_BOOTS`` boots the oldest is forgotten, and its reports would count again (a device that starts so
    often before it is heard is ill in other ways).
    """

    by_boot: Mapping[str, tuple[Interval, ...]] = field(default_factory=dict)

    @property
    def boots(self) -> int:
        """Distinct boots."""
        return len(self.by_boot)

    @property
    def count(self) -> int:
        """Distinct (boot, sequence)."""
        return sum(last - first + 1 for intervals in self.by_boot.values() for first, last in intervals)

    @property
    def missing(self) -> int:
        """Sequences that did not come though later ones of their boot did: on their way, or lost."""
        return sum(b[0] - a[1] - 1 for runs in self.by_boot.values() for a, b in pairwise(runs))

    def has(self, boot: str, sequence: int) -> bool:
        """Whether it was taken."""
        intervals = self.by_boot.get(boot, ())
        at = bisect_right(intervals, sequence, key=lambda i: i[0]) - 1
        return at >= 0 and sequence <= intervals[at][1]

    def with_one(self, boot: str, sequence: int) -> Seen:
        """With one more."""
        return Seen.union((self, Seen({boot: ((sequence, sequence),)})))

    @classmethod
    def union(cls, parts: Iterable[Seen]) -> Seen:
        """All that any of them has."""
        found: dict[str, list[Interval]] = {}
        for part in parts:
            for boot, intervals in part.by_boot.items():
                found.setdefault(boot, []).extend(intervals)
        kept = list(found)[-MOST_BOOTS:]
        return cls({boot: _joined(found[boot]) for boot in kept})

    def to_json(self) -> list[Any]:
        """A JSON value: [boot, [first, last, ...]] in order."""
        return [[boot, [n for pair in intervals for n in pair]] for boot, intervals in self.by_boot.items()]

    @classmethod
    def from_json(cls, value: Any) -> Seen:
        """What ``to_json`` gave. Raises ValueError."""
        try:
            found = {str(boot): tuple(zip(ends[::2], ends[1::2], strict=True)) for boot, ends in value}
            seen = cls.union([cls(found)])
        except (TypeError, ValueError, IndexError) as error:
            raise ValueError(f"not a record of reports: {error}") from error
        numbers = [n for _, ends in value for n in ends]
        if seen.to_json() != value or not all(type(n) is int and n >= 0 for n in numbers):
            raise ValueError("not a record of reports")
        if any(first > last for intervals in seen.by_boot.values() for first, last in intervals):
            raise ValueError("not a record of reports: an interval ends before it begins")
        return seen


def _joined(intervals: list[Interval]) -> tuple[Interval, ...]:
    joined: list[Interval] = []
    for first, last in sorted(intervals):
        if joined and first <= joined[-1][1] + 1:
            joined[-1] = (joined[-1][0], max(last, joined[-1][1]))
        else:
            joined.append((first, last))
    while len(joined) > MOST_GAPS + 1:
        joined[:2] = [(joined[0][0], joined[1][1])]
    return tuple(joined)
