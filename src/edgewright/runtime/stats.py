"""What a served model did: counters, and times as mergeable sketches, cheap enough to be always on."""

from __future__ import annotations

from collections import Counter

from edgewright.core.sketches import Sketch

_LEAST_S = 1e-9


class Times:
    """Times in s: their sketch and their sum, up to date after each."""

    __slots__ = ("count", "sketch", "total")

    def __init__(self) -> None:
        self.sketch, self.total, self.count = Sketch(), 0.0, 0

    def add(self, seconds: float) -> None:
        """One more."""
        self.total += seconds
        self.count += 1
        self.sketch.count_one(seconds if seconds > _LEAST_S else _LEAST_S)


class Stats:
    """``queue`` and ``compute``: times in s. ``batches`` counts runs by their rows, ``faults`` by kind;
    ``missed``: deadlines that were not met, by a late answer or none."""

    def __init__(self) -> None:
        self.queue, self.compute = Times(), Times()
        self.batches: Counter[int] = Counter()
        self.faults: Counter[str] = Counter()
        self.requests = self.missed = 0

    @property
    def rows(self) -> int:
        """Samples answered."""
        return sum(rows * runs for rows, runs in self.batches.items())

    def ran(self, rows: int, requests: int, compute_s: float) -> None:
        """One run answered so many requests."""
        self.requests += requests
        self.batches[rows] += 1
        self.compute.add(compute_s)
