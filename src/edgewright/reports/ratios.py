"""Ratios: how many times better than the original, with the interval of the run that saw both."""

from __future__ import annotations

from dataclasses import dataclass

from edgewright.core.measurement import Measurement
from edgewright.reports.figures import TIMES, between, decimals_for, plain, span
from edgewright.reports.reading import Entry, items, number, table


@dataclass(frozen=True)
class Ratio:
    """How many times better: ``value`` with its interval, above 1 where something was won. ``paired``: same run."""

    value: float
    low: float | None = None
    high: float | None = None
    kind: str = "measured"
    paired: bool = False

    @property
    def sure(self) -> bool:
        """Whether the interval, as far as one is known, leaves 1 out."""
        low, high = (self.value if end is None else end for end in (self.low, self.high))
        return low > 1.005 or high < 0.995

    @property
    def text(self) -> str:
        """``4.2``: two digits, three where the first is a one."""
        return times(self.value)

    def gain(self, better: str, worse: str = "") -> str:
        """``4.2× less``, or ``1.3× more``; ``as fast`` says both ways."""
        if not worse:
            return f"{self.text}{TIMES} {better}"
        if abs(self.value - 1) < 0.005:
            return "the same"
        return f"{self.text}{TIMES} {better}" if self.value > 1 else f"{times(1 / self.value)}{TIMES} {worse}"

    @property
    def interval(self) -> str:
        """``4.17 to 4.32``, "" where none is known."""
        if self.low is None or self.high is None or self.low == self.high:
            return ""
        places = max(decimals_for(self.value, self.low, self.high), 2 if self.value < 10 else 1)
        return between(self.low, self.high, min(places, 2))


def times(value: float) -> str:
    """A ratio's number."""
    return plain(value, 2 if value < 2 else 1 if value < 10 else 0)


def speed_of(entry: Entry, baseline: Entry) -> Ratio | None:
    """How many times as fast as the original, from one run where there was one."""
    after, before = entry.metrics.get("latency_ms"), baseline.metrics.get("latency_ms")
    if after is None or before is None:
        return None
    return speedup(after, before, entry.latency.get("ratio"))


def speedup(after: Measurement, before: Measurement, paired: object = None) -> Ratio | None:
    """How many times as fast. ``paired``: the ratio of times from one interleaved run, as LatencyResult tells it."""
    told = table(paired)
    value, low, high = (number(told.get(key)) for key in ("value", "low", "high"))
    if value is None:
        value, low, high = _told(after)
    if value is not None and value > 0:
        if low and high and 0 < low <= value <= high:
            return Ratio(1 / value, 1 / high, 1 / low, after.kind, paired=True)
        return Ratio(1 / value, kind=after.kind, paired=True)
    if after.value <= 0 or before.value <= 0:
        return None
    return Ratio(before.value / after.value, kind=worse_kind(after.kind, before.kind))


def _told(found: Measurement) -> tuple[float | None, float | None, float | None]:
    """The ratio of times among a measurement's conditions: value, low and high, or a quick look's number."""
    told = items(found.conditions.get("ratio"))
    if told:
        value, low, high = [*(number(x) for x in told), None, None, None][:3]
        return value, low, high
    value = number(found.conditions.get("over_baseline"))
    low, high = span(found)
    if value is None or low is None or high is None or found.value <= 0:
        return value, None, None
    return value, value * low / found.value, value * high / found.value


def shrink(after: Measurement, before: Measurement) -> Ratio | None:
    """How many times smaller."""
    if after.value <= 0 or before.value <= 0:
        return None
    return Ratio(before.value / after.value, kind=worse_kind(after.kind, before.kind))


def worse_kind(*kinds: str) -> str:
    """What a figure made of several is: no better than the worst of them."""
    order = ("measured", "estimated", "predicted")
    return max(kinds, key=order.index)
