"""What a served model did: counters, and times as mergeable sketches, cheap enough to be always on."""

from __future__ import annotations

import threading
from collections import Counter

from edgewright.core.sketches import Sketch

_BUFFER = 512


class Times:
    """A sketch of times in s. ``add`` is a list's append; the sketch is brought up to date now and then."""

    __slots__ = ("_lock", "_news", "_sketch", "add", "total")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sketch, self.total = Sketch(), 0.0
        self._news: list[float] = []
        self.add = self._news.append

    def settle(self) -> None:
        """Bring the sketch up to date when enough has come; called beside the work, not on its path."""
        if len(self._news) >= _BUFFER:
            self._flush()

    def sketch(self) -> Sketch:
        """All times so far."""
        self._flush()
        return self._sketch

    def _flush(self) -> None:
        with self._lock:
            count = len(self._news)  # what is appended meanwhile stays for the next time
            news = self._news[:count]
            del self._news[:count]
            if news:
                self._sketch.add(news)
                self.total += sum(news)


class Stats:
    """``queue`` and ``compute``: times in s. ``batches`` counts runs by their rows, ``faults`` by kind;
    ``missed``: deadlines that were not met, by a late answer or none."""

    def __init__(self) -> None:
        self.queue, self.compute = Times(), Times()
        self.batches: Counter[int] = Counter()
        self.faults: Counter[str] = Counter()
        self.requests = self.rows = self.missed = 0

    def ran(self, rows: int, requests: int, compute_s: float) -> None:
        """One run answered so many requests."""
        self.requests += requests
        self.rows += rows
        self.batches[rows] += 1
        self.compute.add(compute_s)
        self.compute.settle()
