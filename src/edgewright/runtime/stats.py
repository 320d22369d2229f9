"""What a served model did: counters, and times as mergeable sketches, cheap enough to be always on."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from fractions import Fraction

from edgewright.core.sketches import Sketch
from edgewright.core.trend import Trend, Verdict, judge

_LEAST_S = 1e-9
_LATEST = 4096
SAMPLED = 16
"""One request over HTTP in so many has its reading and its writing timed."""
_EXACT = 512
"""Rows from which on batches are counted by powers of two: clients choose them, and must not fill the memory."""


class Times:
    """Times in s: their sketch and their sum, up to date after each."""

    __slots__ = ("_lock", "_news", "_trend", "carried", "count", "sketch", "total")

    def __init__(self) -> None:
        self.sketch, self.total, self.count = Sketch(), 0.0, 0
        self.carried = Fraction()
        """The sum of what was merged: exact, so that a sum of parts never falls, in whatever order they are merged."""
        self._news: deque[float] = deque(maxlen=_LATEST)
        self._trend, self._lock = Trend(), threading.Lock()

    def add(self, seconds: float) -> None:
        """One more."""
        self.total += seconds
        self.count += 1
        self._news.append(seconds)
        self.sketch.count_one(seconds if seconds > _LEAST_S else _LEAST_S)

    def add_many(self, seconds: float, count: int) -> None:
        """So many more that took as long."""
        self.total += count * seconds
        self.count += count
        self._news.append(seconds)
        self.sketch.count_one(max(seconds, _LEAST_S), count)

    def merge(self, other: Times) -> None:
        """Add all that ``other`` has seen, to which others may be adding meanwhile; the trend stays this one's own."""
        self.carried += other.carried + Fraction(other.total)
        self.count += other.count
        self.sketch.merge(other.sketch)

    @property
    def sum_s(self) -> float:
        """The sum of all, merged ones included."""
        return float(self.carried + Fraction(self.total)) if self.carried else self.total

    def trend(self) -> Verdict:
        """Whether they became better or worse of late, worked out now from what came since it was asked last, 4,096
        times at most: who asks seldom sees the long scales with gaps."""
        with self._lock:
            news, self._news = self._news, deque(maxlen=_LATEST)  # what comes meanwhile is for the next time
            self._trend.add(list(news))
            windows = self._trend.windows()
        return judge(windows)


class Stats:
    """``queue`` and ``compute``: times in s; ``shared``: those of runs again for each request but the first that they
    answered, so that with ``compute`` each request has the time of its run; ``beside``: what runs took for images and
    classes besides the model's own part; ``parse`` and ``write``: of reading a request and writing its reply, over
    HTTP, of one in ``SAMPLED``. ``batches`` counts runs by their rows (from 512 on by the power of two below), ``rows``
    all samples, ``faults`` by kind; ``alone``: of the infeasible ones those whose run alone takes longer than they had;
    ``unsure``: those that may have been refused for nothing (``Infeasible``); ``missed``: deadlines that were not met,
    by a late answer, a fail-safe one (``safe``), or none; ``hits`` and ``misses`` of the cache, where there is one. By
    ``time.perf_counter`` ``began``: when counting did, and ``last``: when a run last ended; 0.0 before the first."""

    def __init__(self) -> None:
        self.queue, self.compute, self.shared = Times(), Times(), Times()
        self.beside, self.parse, self.write = Times(), Times(), Times()
        self.batches: Counter[int] = Counter()
        self.faults: Counter[str] = Counter()
        self.rows = self.requests = self.missed = self.safe = self.hits = self.misses = 0
        self.alone = self.unsure = 0
        self.began, self.last = time.perf_counter(), 0.0

    def ran(self, rows: int, requests: int, compute_s: float) -> None:
        """One run answered so many requests."""
        self.requests += requests
        self.rows += rows
        self.batches[rows if rows < _EXACT else 1 << (rows.bit_length() - 1)] += 1
        self.compute.add(compute_s)
        if requests > 1:
            self.shared.add_many(compute_s, requests - 1)

    @property
    def used(self) -> bool:
        """Whether anything was counted."""
        return bool(self.requests or self.missed or self.misses or self.hits or self.queue.count or self.faults)

    def merge(self, other: Stats) -> None:
        """Add all that ``other`` has counted, which may go on counting."""
        for name in ("queue", "compute", "shared", "beside", "parse", "write"):
            getattr(self, name).merge(getattr(other, name))
        for name in ("rows", "requests", "missed", "safe", "hits", "misses", "alone", "unsure"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.batches.update(dict(other.batches))
        self.faults.update(dict(other.faults))
        self.began, self.last = min(self.began, other.began), max(self.last, other.last)


class Totals:
    """What is counted for the whole server. ``reloads`` by outcome (applied, refused, taken_back);
    ``longest_pause_s``: for which a request waited because of one; ``asleep``: how often a model was asked for, by
    anybody, that is known and does not answer."""

    def __init__(self) -> None:
        self.reloads: Counter[str] = Counter()
        self.longest_pause_s = 0.0
        self.asleep: Counter[str] = Counter()
