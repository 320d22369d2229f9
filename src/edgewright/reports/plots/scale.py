"""Axes: from values to places between 0 and 1, and where ticks stand."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

_WIDE = 3.0
"""Largest over smallest value from which an axis of ratios is logarithmic."""


@dataclass(frozen=True)
class Tick:
    """A mark on an axis: its place (0 to 1) and value; ``minor`` ones lose their label where room is short."""

    place: float
    value: float
    minor: bool = False


@dataclass(frozen=True)
class Axis:
    """A linear or logarithmic axis from ``low`` to ``high``. Values outside are placed at the nearer end."""

    low: float
    high: float
    log: bool = False

    def place(self, value: float) -> float:
        """Where a value stands, 0 to 1."""
        if self.log:
            if value <= 0:
                return 0.0
            found = math.log(value / self.low) / math.log(self.high / self.low)
        else:
            found = (value - self.low) / (self.high - self.low)
        return min(max(found, 0.0), 1.0)

    def holds(self, value: float) -> bool:
        """Whether a value lies on the axis."""
        return self.low <= value <= self.high

    def ticks(self, most: int = 7) -> list[Tick]:
        """Round values, evenly spaced on a linear axis, at 1, 2 and 5 (or every decade) on a logarithmic one."""
        return self._log_ticks(most) if self.log else self._linear_ticks(most)

    def _linear_ticks(self, most: int) -> list[Tick]:
        rough = (self.high - self.low) / most
        power = 10.0 ** math.floor(math.log10(rough))
        step = next(power * k for k in (1, 2, 5, 10) if power * k >= rough)
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        return [Tick(self.place(k * step), k * step, minor=k % 2 != 0) for k in range(first, last + 1)]

    def _log_ticks(self, most: int) -> list[Tick]:
        decades = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        for mantissas in ((1, 1.5, 2, 3, 5, 7), (1, 2, 5), (1, 3), (1,)):
            values = [m * 10.0**d for d in decades for m in mantissas]
            inside = [v for v in values if self.low * (1 - 1e-9) <= v <= self.high * (1 + 1e-9)]
            if len(inside) <= most:
                break
        every = max(1, math.ceil(len(inside) / most))
        return [Tick(self.place(v), v, minor=k % 2 != 0) for k, v in enumerate(inside[::every])]


def ratio_axis(values: Iterable[float], margin: float = 0.06) -> Axis:
    """An axis for figures compared as ratios (times, bytes): logarithmic where they lie far apart."""
    seen = [v for v in values if v > 0]
    if not seen:
        return Axis(0.0, 1.0)
    low, high = min(seen), max(seen)
    if high / low < _WIDE:
        room = (high - low) * 2 * margin or high * 0.25
        return Axis(max(low - room, 0.0), high + room)
    stretch = (high / low) ** margin
    return Axis(low / stretch, high * stretch, log=True)


def linear_axis(values: Iterable[float], margin: float = 0.08) -> Axis:
    """A linear axis around values."""
    seen = list(values) or [0.0, 1.0]
    low, high = min(seen), max(seen)
    room = (high - low) * margin or abs(high) * 0.1 or 1.0
    return Axis(low - room, high + room)
