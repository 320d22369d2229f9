"""How a device serves: an hour of a model against what is usual for that device. Pure.

What is usual is a decayed sum (a day's half the weight or so), so that a device that is slow from now on is told as
slower for about a day, and then as it is.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

from edgewright.core.messages import Observation
from edgewright.core.messages.observations import merge_series
from edgewright.core.statistics import wilson
from edgewright.hub.alerts.health import LEVELS, Level

DECAY = 23 / 24
"""What an hour's weight loses in the next hour."""
LEAST = 100
"""Requests without which a latency says nothing."""
_ERRORS = (("errors", "errors"), ("missed", "missed deadlines"))
_WARN, _BAD = 0.01, 0.05  # shares of requests
_SLOWER, _MUCH_SLOWER = 1.5, 3.0
_CONFIDENCE = 0.99
_SURELY_MS = 1.0  # below this a ratio of latencies is noise of the clock


@dataclass(frozen=True)
class Hour:
    """Counts of one model, and the 95th percentile of its latency (ms; None without any)."""

    requests: int = 0
    errors: int = 0
    missed: int = 0
    p95_ms: float | None = None

    @classmethod
    def of(cls, told: Iterable[Observation]) -> Self:
        """One model's hour in all its bundles together."""
        parts = list(told)
        counts = {n: sum(int(one.counters.get(n, 0)) for one in parts) for n in ("requests", "errors", "missed")}
        latency = merge_series(one.series["latency_ms"] for one in parts if "latency_ms" in one.series).sketch
        return cls(**counts, p95_ms=latency.quantile(0.95) if latency.count else None)

    def to_json(self) -> dict[str, Any]:
        """A JSON value."""
        return asdict(self)


@dataclass(frozen=True)
class Usual:
    """Decayed sums of hours before; ``p95_ms``: the decayed geometric mean, of ``weight`` hours."""

    requests: float = 0.0
    errors: float = 0.0
    missed: float = 0.0
    p95_ms: float | None = None
    weight: float = 0.0

    def then(self, hour: Hour) -> Usual:
        """With one more hour."""
        sums = (DECAY * self.requests + hour.requests, DECAY * self.errors + hour.errors,
                DECAY * self.missed + hour.missed)  # fmt: skip
        if hour.p95_ms is None or hour.p95_ms <= 0 or hour.requests < LEAST:
            return Usual(*sums, self.p95_ms, DECAY * self.weight)
        weight = DECAY * self.weight + 1
        before = math.log(self.p95_ms) if self.p95_ms else math.log(hour.p95_ms)
        p95 = math.exp(before + (math.log(hour.p95_ms) - before) / weight)
        return Usual(*sums, p95, weight)

    def to_json(self) -> dict[str, Any]:
        """A JSON value."""
        return asdict(self)


def usual_of(hours: Iterable[Hour]) -> Usual:
    """What these hours, oldest first, make usual."""
    made = Usual()
    for hour in hours:
        made = made.then(hour)
    return made


def judge(hours: Mapping[str, tuple[Hour, Usual]]) -> tuple[Level, str]:
    """The worst of all models: its level (ok, warn, bad) and a sentence."""
    worst, told = 0, ""
    for model, (hour, usual) in sorted(hours.items()):
        for level, words in (*(_share(hour, usual, name, shown) for name, shown in _ERRORS), _latency(hour, usual)):
            if level > worst:
                worst, told = level, f"{model}: {words}"
    if worst:
        return LEVELS[worst], told
    requests = sum(hour.requests for hour, _ in hours.values())
    return "ok", f"{requests:,} requests in its last hour, as usual" if requests else "nothing was served lately"


def _share(hour: Hour, usual: Usual, name: str, shown: str) -> tuple[int, str]:
    """Errors are told once it is sure (Wilson's lower bound) that they are more than a limit, and more than usual."""
    n = getattr(hour, name)
    if not n or not hour.requests:
        return 0, ""
    before = getattr(usual, name) / usual.requests if usual.requests >= LEAST else 0.0
    low = wilson(min(n, hour.requests), hour.requests, _CONFIDENCE).low
    level = 2 if low > max(_BAD, 3 * before) else 1 if low > max(_WARN, 2 * before) else 0
    usually = f", usually {before:.1%}" if usual.requests >= LEAST else ""
    return level, f"{n:,} {shown} in {hour.requests:,} requests ({n / hour.requests:.1%}{usually})"


def _latency(hour: Hour, usual: Usual) -> tuple[int, str]:
    if hour.p95_ms is None or not usual.p95_ms or hour.requests < LEAST or hour.p95_ms - usual.p95_ms < _SURELY_MS:
        return 0, ""
    times = hour.p95_ms / usual.p95_ms
    level = 2 if times >= _MUCH_SLOWER else 1 if times >= _SLOWER else 0
    return level, f"95% within {hour.p95_ms:.3g} ms, usually within {usual.p95_ms:.3g} ms"
