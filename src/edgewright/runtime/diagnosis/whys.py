"""Whys: the section ``why`` of each model's statistics, and ``server``: what the models have in common."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

from edgewright.core.trend import Verdict
from edgewright.runtime.desk import Desk
from edgewright.runtime.diagnosis.causes import Facts, explain
from edgewright.runtime.diagnosis.machine import machine
from edgewright.runtime.diagnosis.readings import Reading, Window
from edgewright.runtime.diagnosis.versions import Counts, Versions
from edgewright.runtime.experiments.splits import Splits
from edgewright.runtime.providers import step_down
from edgewright.runtime.repository import Repository
from edgewright.runtime.served import Served

_EVERY_S, _KEPT = 10.0, 7
"""Readings are a minute old at the most, and at the least where a model has been there for as long."""


class Whys:
    """``rejected``: clients turned away before their request was looked at, by status or reason."""

    def __init__(
        self, repository: Repository, desk: Desk, rejected: Callable[[], Counter[str]],
        clock: Callable[[], float] = time.perf_counter, splits: Splits | None = None,
    ) -> None:  # fmt: skip
        self._repository, self._desk, self._rejected, self._clock = repository, desk, rejected, clock
        self._readings: WeakKeyDictionary[Served, deque[tuple[float, Reading]]] = WeakKeyDictionary()
        self._versions = Versions(splits, desk.shadows)
        self._counts = deque([(clock(), Counts())], maxlen=_KEPT)
        self._next = 0.0

    def look(self) -> None:
        """Read every model's statistics if it is time; to be called every second or so."""
        now = self._clock()
        if now < self._next:
            return
        self._next = now + _EVERY_S
        self._counts.append((now, self._versions.counts()))
        for served in self._repository.ready():
            kept = self._readings.get(served)
            if kept is None:
                kept = self._readings[served] = deque([(served.stats.began, Reading())], maxlen=_KEPT)
            kept.append((now, Reading.of(served.stats)))

    def of(self, served: Served, trend: Verdict | None = None) -> dict[str, Any]:
        """Why this version is slow, and why its requests are refused, as a JSON value."""
        now, work, source = self._clock(), served.at_work, served.source
        others = sum(self._busy(one, now) for one in self._repository.ready() if one is not served)
        facts = Facts(
            source.engine, served.session.provider, source.options.threads,
            usual_s=served.times.usual() if served.times.learned else 0.0,
            mean_s=served.times.mean() if served.times.learned else 0.0,
            margin_s=self._desk.scheduler.margin,
            longest_s=max(served.stats.compute.sketch.high, 0.0),
            running_s=0.0 if work is None else max(now - work[0], 0.0),
            others_busy=round(others / self._desk.scheduler.executors, 6),
            most_rows=served.most_rows, delay_s=served.delay_s, deadline_s=served.deadline_s,
            promised_s=None if source.latency_ms is None else source.latency_ms / 1e3,
            reason=served.reason, step_down=step_down(served.session),
            trend=trend or served.stats.compute.trend(), load=machine(),
        )  # fmt: skip
        began, before = self._before(served)
        why = explain(Window.between(before, Reading.of(served.stats), now - began), facts)
        return {**why, "since_load": began == served.stats.began}

    def server(self) -> dict[str, Any]:
        """What all models have in common, as a JSON value; ``margin_ms`` is kept free before deadlines, ``strays`` are
        requests that reached no model; ``splits`` and ``shadows`` tell of the latest ``window_s``."""
        totals, (began, before) = self._repository.totals, self._counts[0]
        return {
            "machine": machine(),
            "executors": self._desk.scheduler.executors,
            "line_length": self._desk.scheduler.waiting,
            "margin_ms": 1e3 * self._desk.scheduler.margin,
            "rejected": dict(self._rejected()),
            "strays": dict(self._desk.strays),
            "reloads": dict(+totals.reloads),
            "longest_reload_pause_ms": 1e3 * totals.longest_pause_s,
            "window_s": round(self._clock() - began, 3),
            **self._versions.told(before, self._answered()),
        }

    def _answered(self) -> Counts:
        """How many requests each version answered lately."""
        found = Counts()
        for served in self._repository.ready():
            counts = Reading.of(served.stats).counts - self._before(served)[1].counts
            found["answered", served.source.name, served.source.version] = counts["requests"] + counts["hits"]
        return found

    def _before(self, served: Served) -> tuple[float, Reading]:
        kept = self._readings.get(served)
        return kept[0] if kept else (served.stats.began, Reading())

    def _busy(self, served: Served, now: float) -> float:
        """The share of the time that its runs took. Of its sums alone: everybody's is asked for each."""
        began, before = self._before(served)
        ran_s = served.stats.compute.total - before.sums.get("compute", 0.0)
        return ran_s / (now - began) if now > began else 0.0
