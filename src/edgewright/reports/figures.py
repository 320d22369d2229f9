"""Figures: a measurement as people read it, with unit, interval and kind, and no more digits than are known."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from edgewright.core.measurement import Measurement
from edgewright.reports.reading import text

SPACE = "\u00a0"
MINUS = "\u2212"
TIMES = "\u00d7"
_STEPS = {
    "ms": ((1e3, "s"), (1.0, "ms"), (1e-3, "µs"), (1e-6, "ns")),
    "s": ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns")),
    "B": ((1e9, "GB"), (1e6, "MB"), (1e3, "kB"), (1.0, "B")),
    "mJ": ((1e3, "J"), (1.0, "mJ"), (1e-3, "µJ"), (1e-6, "nJ")),
    "J": ((1.0, "J"), (1e-3, "mJ"), (1e-6, "µJ"), (1e-9, "nJ"), (1e-12, "pJ")),
    "1/s": ((1.0, "/s"),),
    "Hz": ((1e9, "GHz"), (1e6, "MHz"), (1e3, "kHz"), (1.0, "Hz")),
    "B/s": ((1e9, "GB/s"), (1e6, "MB/s"), (1e3, "kB/s"), (1.0, "B/s")),
    "MAC/s": ((1e12, "TMAC/s"), (1e9, "GMAC/s"), (1e6, "MMAC/s"), (1.0, "MAC/s")),
}
KINDS = {
    "measured": "measured: seen on this machine",
    "estimated": "estimated: computed from measured parts and figures of the target",
    "predicted": "predicted: from a model of a machine that was not there",
}


@dataclass(frozen=True)
class Scale:
    """How figures of one metric are told: divided by ``factor``, in ``unit``. One scale for a column."""

    factor: float = 1.0
    unit: str = ""

    def of(self, value: float, decimals: int | None = None, *, signed: bool = False) -> str:
        """The bare number."""
        return plain(value / self.factor, decimals, signed=signed)

    def tick(self, value: float) -> str:
        """The number as short as it goes, for an axis or a limit."""
        found = value / self.factor + 0.0
        return plain(found, 0) if abs(found) >= 1e4 else f"{found:.4g}".replace("-", MINUS)

    def told(self, value: float, *, signed: bool = False) -> str:
        """Number and unit."""
        return f"{self.of(value, signed=signed)}{SPACE}{self.unit}".rstrip(SPACE)


@dataclass(frozen=True)
class Figure:
    """A figure ready to stand on the page. ``interval`` is "" where none is known; ``about`` tells n and conditions."""

    text: str
    unit: str
    interval: str
    kind: str
    n: int
    about: str
    sort: float

    def __str__(self) -> str:
        interval = f" ({self.interval})" if self.interval else ""
        return f"{self.text}{SPACE}{self.unit}{interval}, {self.kind}"


def scale_for(unit: str, values: Iterable[float]) -> Scale:
    """The scale that shows most of ``values`` with few digits: decided by their middle."""
    steps = _STEPS.get(unit, ((1.0, unit),))
    seen = sorted(abs(v) for v in values if v)
    if not seen:
        return next(Scale(factor, name) for factor, name in steps if factor == 1.0)
    middle = seen[len(seen) // 2]
    return next((Scale(f, u) for f, u in steps if middle >= f), Scale(*steps[-1]))


def plain(value: float, decimals: int | None = None, *, signed: bool = False) -> str:
    """A number, thousands apart, with three significant digits unless told otherwise. No minus zero."""
    places = decimals_for(value) if decimals is None else decimals
    rounded = round(value, places) + 0.0
    if abs(rounded) >= 1e15:
        return f"{value:.3g}".replace("-", MINUS)
    digits = f"{abs(rounded):,.{max(places, 0)}f}".replace(",", SPACE if abs(rounded) >= 1e4 else "")
    sign = MINUS if rounded < 0 else "+" if signed and rounded > 0 else ""
    return sign + digits


def decimals_for(value: float, low: float | None = None, high: float | None = None) -> int:
    """Decimals that tell three significant digits, or, where the interval is narrower, its first: at most four."""
    size = max(abs(value), 0.0 if low is None or high is None else (high - low) / 2)
    if size == 0:
        return 0
    wanted = 2 - math.floor(math.log10(size))
    if low is not None and high is not None and high > low:
        narrow = -math.floor(math.log10((high - low) / 2))
        wanted = min(max(wanted, narrow), wanted + 1)
    return max(wanted, 0)


def figure(found: Measurement, scale: Scale, *, signed: bool = False) -> Figure:
    """A measurement on the page, in ``scale``."""
    value = found.value / scale.factor
    low, high = span(found)
    low, high = (None, None) if low is None or high is None else (low / scale.factor, high / scale.factor)
    if scale.unit in ("points", "dB"):
        places = 2 if scale.unit == "points" and found.n >= 2000 else 1
    elif scale.unit == "B":
        places = 0
    else:
        places = decimals_for(value, low, high)
    interval = "" if low is None or high is None else between(low, high, places, signed=signed)
    return Figure(
        plain(value, places, signed=signed), scale.unit, interval, found.kind, found.n, about(found), found.value
    )


def duration(seconds: float) -> str:
    """``0.75 s``, ``85 s``, ``4 min 12 s``, ``1 h 20 min``."""
    if seconds < 120:
        return f"{plain(seconds, 2 if seconds < 1 else 1 if seconds < 10 else 0)}{SPACE}s"
    whole = round(seconds)
    if whole < 7200:
        return f"{whole // 60}{SPACE}min" + (f" {whole % 60}{SPACE}s" if whole % 60 else "")
    return f"{whole // 3600}{SPACE}h" + (f" {whole % 3600 // 60}{SPACE}min" if whole % 3600 >= 60 else "")


def between(low: float, high: float, places: int | None = None, *, signed: bool = False) -> str:
    """An interval in words: ``0.19 to 0.21``."""
    if places is None:
        places = decimals_for(high, low, high)
    return f"{plain(low, places, signed=signed)} to {plain(high, places, signed=signed)}"


def span(found: Measurement) -> tuple[float | None, float | None]:
    """The interval; nothing where a single reading or an exact count has none."""
    if found.low is None or found.high is None or found.low == found.high:
        return None, None
    return found.low, found.high


def about(found: Measurement) -> str:
    """What stands behind a figure, in one line: kind, how many, what the interval means, the split it was seen on."""
    told: list[str] = [found.kind]
    if found.n > 1:
        told.append(f"n = {plain(found.n, 0)}")
    if span(found) != (None, None):
        said = text(found.conditions.get("interval"))
        told.append(said or "95% interval")
    elif text(found.conditions.get("interval")) == "one run":
        told.append("one run, no interval")
    split = text(found.conditions.get("split"))
    if split:
        told.append(f"on the {split} split")
    if quick(found):
        told.append("a quick look beside the original")
    for key in ("source", "method"):
        if text(found.conditions.get(key)):
            told.append(text(found.conditions[key]))
    return "; ".join(told)


def quick(found: Measurement) -> bool:
    """Whether a time was only glanced at during the search: a ratio, multiplied with the original's time."""
    return text(found.conditions.get("how")).startswith("ratio to the baseline")
