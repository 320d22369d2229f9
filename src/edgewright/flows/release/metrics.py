"""Metrics: what a gate compares, which way is worse, and how much is benign.

| name | of one device and window | unit |
|---|---|---|
| ``errors`` | share of requests that failed | share |
| ``latency`` | log of its p95 (`math.log`) | log ratio |
| ``doubt`` | mean probability of being wrong, by the release's own curve (`core.doubt`) | share |
| ``confidence`` | mean confidence of the answers | confidence |
| ``predictions/CLASS`` | share of answers that choose the class | share |
| ``disagreement`` | share of shadowed inputs on which the new release chooses otherwise | share |
| ``wrong`` | share of labelled answers that were wrong, once labels come | share |
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

Worse = Literal["up", "down", "either"]


@dataclass(frozen=True)
class Metric:
    """One comparison, canaries against controls, of every device's change against its own past.

    ``margin``: how far the worse way is still benign, around ``expected``: the change that the release's own held-out
    evidence foretells. ``weight`` is its share of the error budget, fixed beforehand. ``alone``: canaries only, their
    ``after`` is already a comparison with the old release. ``awaited``: a gate waits
    until it is known well enough. A name is also that of its parts, ``name/PART``.
    """

    name: str
    worse: Worse
    margin: float
    weight: float
    expected: float = 0.0
    alone: bool = False
    awaited: bool = True
    unit: str = "points"

    def __post_init__(self) -> None:
        if not self.margin > 0 or not 0 <= self.weight <= 1 or not math.isfinite(self.expected):
            raise ValueError(f"metric {self.name!r} needs a margin above 0 and a weight of 0 to 1")

    def told(self, amount: float) -> str:
        """An amount in words: points for shares, per cent for latency."""
        if self.unit == "log":
            return f"{100 * math.expm1(abs(amount)):.3g}%"
        points = 100 * abs(amount)
        return f"{points:.2g} points" if points < 10 else f"{points:.0f} points"


INSTALL_WEIGHT = 0.1
"""The share of the error budget for failed installations and activations."""

METRICS: tuple[Metric, ...] = (
    Metric("errors", "up", 0.005, 0.1),
    Metric("latency", "up", math.log(1.15), 0.05, unit="log"),
    Metric("doubt", "up", 0.01, 0.3),
    Metric("confidence", "down", 0.01, 0.0),
    Metric("predictions", "either", 0.02, 0.1),
    Metric("disagreement", "up", 0.02, 0.2, alone=True),
    Metric("wrong", "up", 0.01, 0.1, awaited=False),
)
"""Weights and that of installations add up to at most 1. Confidence itself is told, but halts nothing while nobody says
what to expect: a recalibrated model is rightly less sure, by ten points or more. ``doubt`` is what tells them apart."""

_CONFIDENCE_WEIGHT = 0.05


def expecting(expected: Mapping[str, float], metrics: Sequence[Metric] = METRICS) -> tuple[Metric, ...]:
    """The metrics with what held-out evidence foretells of this release, by name: new minus old, as in the table.

    Raises ValueError for a name that no metric has.
    """
    if strangers := expected.keys() - {metric.name for metric in metrics}:
        raise ValueError(
            f"no metric is called {sorted(strangers)[0]!r}; there are {', '.join(m.name for m in metrics)}"
        )
    made = []
    for metric in metrics:
        if metric.name in expected:
            weight = _CONFIDENCE_WEIGHT if metric.name == "confidence" else metric.weight
            metric = replace(metric, expected=expected[metric.name], weight=weight)
        made.append(metric)
    return tuple(made)
