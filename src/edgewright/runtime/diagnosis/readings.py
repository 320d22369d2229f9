"""Readings: what a model's statistics said at one time, and what happened between two. What counts since the start
would hide the last minute of a server that has run for a month."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from edgewright.core.sketches import Bins, Sketch
from edgewright.runtime.stats import Stats

COUNTS = ("requests", "rows", "missed", "safe", "hits", "alone", "unsure")
TIMES = ("queue", "compute", "shared", "beside", "parse", "write")
SKETCHED = ("queue", "compute", "shared")


@dataclass(frozen=True)
class Reading:
    """``counts`` of ``Stats`` and of its times by name; ``sums`` of times in s; ``bins`` of their sketches."""

    counts: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    sums: Mapping[str, float] = field(default_factory=dict)
    bins: Mapping[str, Bins] = field(default_factory=dict)

    @classmethod
    def of(cls, stats: Stats) -> Reading:
        """What they say now. Others may go on counting meanwhile."""
        times = {name: getattr(stats, name) for name in TIMES}
        counts = {name: getattr(stats, name) for name in COUNTS}
        return cls(
            Counter({**counts, **{name: one.count for name, one in times.items()}}),
            stats.faults.copy(),
            {name: one.total for name, one in times.items()},
            {name: times[name].sketch.positive.copy() for name in SKETCHED},
        )


@dataclass(frozen=True)
class Window:
    """What happened in the latest ``seconds``; fields as a reading's. ``waits`` and ``runs``: sketches of how long each
    request waited (0 for who did not) and of how long the run took that answered it."""

    seconds: float
    counts: Counter[str]
    faults: Counter[str]
    sums: Mapping[str, float]
    waits: Sketch
    runs: Sketch

    @classmethod
    def between(cls, before: Reading, now: Reading, seconds: float) -> Window:
        """Of two readings of the same statistics."""
        waits, runs, shared = (_less(now.bins.get(name, {}), before.bins.get(name, {})) for name in SKETCHED)
        runs.merge(shared)
        counts, faults = (+now.counts, +now.faults)
        counts.subtract(before.counts)
        faults.subtract(before.faults)
        sums = {name: total - before.sums.get(name, 0.0) for name, total in now.sums.items()}
        window = cls(seconds, +counts, +faults, sums, waits, runs)
        waits.zeros = window.waited - window.counts["queue"]
        return window

    @property
    def waited(self) -> int:
        """Requests that were answered or waited in line, where that is more: of those that waited some failed."""
        return max(self.counts["requests"], self.counts["queue"])

    def mean_s(self, name: str) -> float:
        """The mean of these times, 0.0 where there are none."""
        return self.sums.get(name, 0.0) / self.counts[name] if self.counts[name] else 0.0


def _less(now: Bins, before: Bins) -> Sketch:
    return Sketch(
        positive={index: n - before.get(index, 0) for index, n in now.items() if n > before.get(index, 0)},
        low=0.0, high=float("inf"),
    )  # fmt: skip
