"""What a device observed, as the numbers that gates compare."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from edgewright.core.doubt import DoubtCurve
from edgewright.core.messages import Observation
from edgewright.core.sketches import Sketch
from edgewright.flows.release.series import Series, share

P95 = 0.95


def readings(observation: Observation, curve: DoubtCurve | None = None) -> dict[str, Series]:
    """The metrics (``metrics``) of one device in one window, by name; those of which nothing was observed are left out.

    ``curve``: the bundle's own (``bundles.HeldOut``), without which there is no doubt. Counters that cannot be true
    (more errors than requests: devices may send anything) give nothing.
    """
    counters, series = observation.counters, observation.series
    found = {
        "errors": _share(counters, "errors", "requests"),
        "disagreement": _share(counters, "disagreed", "compared"),
        "wrong": _share(counters, "wrong", "labelled"),
    }
    # Of all rows that were given a class: those of rare classes may have been left out.
    answered = max(counters.get("predictions", 0), sum(observation.classes.values()))
    found |= {f"predictions/{name}": share(n, answered) for name, n in observation.classes.items() if answered}
    latency, confidence, lead = (series.get(name) for name in ("latency_ms", "confidence", "lead"))
    if latency is not None and latency.sketch.count and (p95 := latency.sketch.quantile(P95)) > 0:
        found["latency"] = Series(latency.sketch.count, math.log(p95))
    if confidence is not None and confidence.sketch.count:
        found["confidence"] = Series(confidence.sketch.count, confidence.mean, _variance(confidence.sketch))
    if lead is not None and curve is not None and not lead.sketch.negative:
        found["doubt"] = doubt_of(lead.sketch, curve)
    return {name: one for name, one in found.items() if one is not None and one.usable}


def doubt_of(sketch: Sketch, curve: DoubtCurve) -> Series:
    """The doubt of all answers whose leads are in a sketch; exact to the sketch's relative accuracy of leads.

    Raises ValueError for a sketch with negative values.
    """
    if sketch.negative:
        raise ValueError("leads are not negative")
    leads, counts = _bins(sketch)
    n = int(counts.sum())
    if not n:
        return Series(0, 0.0, 0.0)
    doubts = curve.of(leads)
    mean = float((counts * doubts).sum()) / n
    return Series(n, mean, float((counts * (doubts - mean) ** 2).sum()) / n)


def _share(counters: Mapping[str, int], name: str, of: str) -> Series | None:
    count, n = counters.get(name, 0), counters.get(of, 0)
    return share(count, n) if 0 <= count <= n and n else None


def _variance(sketch: Sketch) -> float:
    """Of the values, each taken for its bin's middle."""
    values, counts = _bins(sketch)
    n = counts.sum()
    mean = (counts * values).sum() / n
    return float((counts * (values - mean) ** 2).sum() / n)


def _bins(sketch: Sketch) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Middles of the bins, and the counts in them."""
    log_gamma = math.log1p(sketch.accuracy) - math.log1p(-sketch.accuracy)
    shift = math.log(2.0) - math.log1p(math.exp(log_gamma))  # to the bin's middle, as the sketch has it

    def middle(index: int) -> float:
        return math.exp(min(index * log_gamma + shift, 700.0))

    values = [0.0, *map(middle, sketch.positive), *(-middle(i) for i in sketch.negative)]
    counts = [sketch.zeros, *sketch.positive.values(), *sketch.negative.values()]
    return np.array(values, np.float64), np.array(counts, np.float64)
