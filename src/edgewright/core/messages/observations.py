"""Observation: what a device saw of one model over a period, in counters and mergeable sketches. No raw data.

Sketches are those of ``core.sketches`` at their default accuracy (quantiles within 1%), told in a few hundred bytes:
runs of counts by index, so that a day of them fits the budget (``fit``).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from edgewright.core.digests import canonical_json
from edgewright.core.messages.reading import LARGEST, MOST, Reader, real, whole
from edgewright.core.sketches import Bins, Sketch

MOST_COUNTERS, MOST_SERIES, MOST_CLASSES = 64, 96, 256
LONGEST_S = 400 * 86400.0
SHADOW = "+shadow"
"""How the name of a model ends that ran beside the one that answered: nobody got its answers."""
_LARGEST_INDEX = 40_000  # of a bin: 1.02^40000 is beyond float64


@dataclass(frozen=True)
class Series:
    """Numbers as their ``sketch`` and their sum ``total``, from which the mean is exact."""

    sketch: Sketch = field(default_factory=Sketch)
    total: float = 0.0

    @classmethod
    def of(cls, values: Sequence[float]) -> Self:
        """The series of these numbers; what is not finite is counted apart."""
        sketch = Sketch()
        sketch.add(values)
        return cls(sketch, math.fsum(v for v in values if math.isfinite(v)))

    @property
    def mean(self) -> float:
        """The mean of the finite numbers. ValueError when there are none."""
        if not self.sketch.count:
            raise ValueError("a mean needs values")
        return self.total / self.sketch.count

    def to_json(self) -> dict[str, Any]:
        """A JSON value; what is empty or zero is left out. ValueError for a sketch of another accuracy or size."""
        s, default = self.sketch, Sketch()
        if (s.accuracy, s.bins) != (default.accuracy, default.bins):
            raise ValueError("telemetry takes sketches of the default accuracy and bins only")
        told: dict[str, Any] = {
            "p": _runs(s.positive), "n": _runs(s.negative), "zero": s.zeros, "nan": s.nans, "inf": s.infinities,
        }  # fmt: skip
        told = {key: value for key, value in told.items() if value}
        if not s.count:
            return told
        low, high = _bounded(s.low), _bounded(s.high)
        return {**told, "low": low, "high": high, "sum": _sum(self.total, low, high, s.count)}

    @classmethod
    def _read(cls, value: Any, where: str) -> Self:
        r = Reader(value, where)
        sketch = Sketch(
            positive=_bins(r, "p"), negative=_bins(r, "n"),
            zeros=r.count("zero", 0), nans=r.count("nan", 0), infinities=r.count("inf", 0),
        )  # fmt: skip
        if not sketch.count:
            return cls(sketch)
        sketch.low, sketch.high = real(r.number("low"), where), real(r.number("high"), where)
        total = real(r.number("sum"), where)
        if not sketch.low <= sketch.high or total != _sum(total, sketch.low, sketch.high, sketch.count):
            raise ValueError(f"{where} has a sum, a lowest and a highest value that do not go together")
        return cls(sketch, total)


@dataclass(frozen=True)
class Observation:
    """``model``: its name on the device, ``bundle``: digest of what served it ("": not from a bundle). ``began_s``: the
    device's clock, s since 1970, whatever it is; ``seconds``: how long. ``counters``: events by name (``requests``,
    ``errors``, ``missed``; ``labelled`` and ``wrong`` answers; of a shadow ``compared`` and ``disagreed`` rows);
    ``classes``: predictions by label; ``series``: numbers by name (``latency_ms``, ``confidence``, ``agreement``, an
    input's column)."""

    model: str
    bundle: str
    began_s: float
    seconds: float
    counters: Mapping[str, int] = field(default_factory=dict)
    classes: Mapping[str, int] = field(default_factory=dict)
    series: Mapping[str, Series] = field(default_factory=dict)

    @property
    def shadow(self) -> bool:
        """Whether the bundle ran beside what answered."""
        return self.model.endswith(SHADOW)

    def to_json(self) -> dict[str, Any]:
        """A JSON value."""
        return {
            "model": self.model,
            "bundle": self.bundle,
            "began_s": self.began_s,
            "seconds": self.seconds,
            "counters": dict(self.counters),
            "classes": dict(self.classes),
            "series": {name: series.to_json() for name, series in self.series.items()},
        }

    @classmethod
    def from_json(cls, value: Any) -> Self:
        """The observation of a JSON value. Raises ValueError."""
        return cls._read(Reader(value, "the observation"))

    @classmethod
    def _read(cls, r: Reader) -> Self:
        return cls(
            model=r.word("model"),
            bundle=r.digest("bundle", ""),
            began_s=r.amount("began_s", None, -1e12),
            seconds=r.amount("seconds", None, 0.0, LONGEST_S),
            counters=r.table("counters", MOST_COUNTERS, whole),
            classes=r.table("classes", MOST_CLASSES, whole),
            series=r.table("series", MOST_SERIES, Series._read),
        )


def merge_series(parts: Iterable[Series]) -> Series:
    """All numbers of all parts. The sketch is the same in any order, the sum to its last bits.

    What can be read merges into what can be read: counts end at 2^53, and the sum is one that goes with them."""
    sketch, sums = Sketch(), []
    for part in parts:
        sketch.merge(part.sketch)
        sums.append(part.total)
    if not sketch.count:
        return Series(sketch)
    return Series(sketch, _sum(math.fsum(sums), sketch.low, sketch.high, sketch.count))


def merge_counts(parts: Iterable[Mapping[str, int]], most: int) -> dict[str, int]:
    """Sums by name, at most 2^53 each. Of more than ``most`` names those that most parts have are kept."""
    sums: dict[str, int] = {}
    carried: dict[str, int] = {}
    for part in parts:
        for name, n in part.items():
            sums[name] = min(sums.get(name, 0) + n, MOST)
            carried[name] = carried.get(name, 0) + 1
    return {name: sums[name] for name in kept_names(carried, most)}


def kept_names(carried: Mapping[str, int], most: int) -> list[str]:
    """At most ``most`` names: those that the most parts have, so that one that makes names up moves nobody's out."""
    return sorted(sorted(carried, key=lambda name: (-carried[name], name))[:most])


def merge(parts: Sequence[Observation]) -> Observation:
    """One observation of all: of the first one's model and bundle, from the earliest on, for all seconds together."""
    carried: dict[str, int] = {}
    for part in parts:
        for name in part.series:
            carried[name] = carried.get(name, 0) + 1
    names = kept_names(carried, MOST_SERIES)
    return Observation(
        parts[0].model,
        parts[0].bundle,
        min(part.began_s for part in parts),
        min(math.fsum(part.seconds for part in parts), LONGEST_S),
        merge_counts((part.counters for part in parts), MOST_COUNTERS),
        merge_counts((part.classes for part in parts), MOST_CLASSES),
        {name: merge_series(part.series[name] for part in parts if name in part.series) for name in names},
    )


def fit(observations: Sequence[Observation], budget_bytes: int) -> tuple[tuple[Observation, ...], int]:
    """The observations in at most ``budget_bytes`` of JSON, and how many were dropped for it.

    Neighbours in time of the same model and bundle are merged, pair by pair, until they fit: coarser, but nothing is
    lost. Only where one for each model and bundle is still too much the oldest are dropped.
    """
    lines: dict[tuple[str, str], list[Observation]] = {}
    for one in sorted(observations, key=lambda o: o.began_s):
        lines.setdefault((one.model, one.bundle), []).append(one)
    while _size(lines) > budget_bytes and any(len(line) > 1 for line in lines.values()):
        for key, line in lines.items():
            if len(line) > 1:
                lines[key] = [merge(line[i : i + 2]) for i in range(0, len(line), 2)]
    left = sorted((one for line in lines.values() for one in line), key=lambda o: o.began_s)
    kept: list[Observation] = []
    for one in reversed(left):
        budget_bytes -= size_bytes(one)
        if budget_bytes < 0:
            break
        kept.append(one)
    return tuple(reversed(kept)), len(left) - len(kept)


def size_bytes(observation: Observation) -> int:
    """Bytes of its JSON, and the comma after it."""
    return len(canonical_json(observation.to_json())) + 1


def _size(lines: Mapping[tuple[str, str], list[Observation]]) -> int:
    return sum(size_bytes(one) for line in lines.values() for one in line)


def _bounded(value: float) -> float:
    return min(max(-LARGEST, value), LARGEST)


def _sum(total: float, low: float, high: float, count: int) -> float:
    """The nearest to ``total`` that ``count`` numbers from ``low`` to ``high`` can have as their sum, give or take its
    last bits, and that can be told. Of counts that ended at 2^53 it is no more than that."""
    slack = 1e-6 * max(abs(low), abs(high))
    return min(max(_bounded((low - slack) * count), total), _bounded((high + slack) * count))


def _runs(bins: Bins) -> list[int]:
    """The first index, then counts of that bin and those after it; -k stands for k empty ones."""
    told: list[int] = []
    before = 0
    for index, n in sorted(bins.items()):
        if not told:
            told.append(index)
        elif index > before + 1:
            told.append(before + 1 - index)
        told.append(n)
        before = index
    return told


def _bins(r: Reader, key: str) -> Bins:
    values = r.take(key, list) if r.has(key) else []
    most = Sketch().bins
    if len(values) > 2 * most or not all(type(v) is int and abs(v) <= MOST for v in values):
        raise ValueError(f"{key!r} of a series is no list of whole numbers for {most:,} bins")
    bins: Bins = {}
    index = values[0] if values else 0
    for n in values[1:]:
        if n > 0:
            bins[index] = n
            index += 1
        else:
            index -= n
    spread = max(bins) - min(bins) if bins else 0
    if spread >= most or any(abs(i) > _LARGEST_INDEX for i in bins) or _runs(bins) != values:
        raise ValueError(f"{key!r} of a series has bins that a sketch cannot have")
    return bins
