"""Distributions of times: one ridge a candidate, all over one axis."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from markupsafe import Markup

from edgewright.reports.figures import Scale
from edgewright.reports.plots.scale import Axis
from edgewright.reports.plots.svg import element, share, stretched

HEIGHT = 64
_FLOOR = 56
_BINS = 125
_SMOOTH = 1.1
"""Standard deviation of the smoothing, in bins."""


@dataclass(frozen=True)
class Ridge:
    """A distribution as evenly spaced quantiles, ascending, with its middle, the middle's interval, and its tail."""

    quantiles: tuple[float, ...]
    p50: float
    low: float | None
    high: float | None
    p95: float | None
    p99: float | None
    about: str
    tone: str = ""


def density(quantiles: Sequence[float], axis: Axis, bins: int = _BINS) -> list[float]:
    """Mass in each of ``bins`` bins of the axis, smoothed, the largest 1. ``quantiles`` ascend, evenly spaced."""
    mass = [0.0] * bins
    places = [axis.place(q) * bins for q in quantiles]
    for a, b in pairwise(places):
        # Each step between quantiles holds the same share, spread over the bins it crosses.
        first, last = min(int(a), bins - 1), min(int(b), bins - 1)
        for k in range(first, last + 1):
            part = (min(b, k + 1) - max(a, k)) / (b - a) if b > a else 1.0 / (last - first + 1)
            mass[k] += max(part, 0.0)
    reach = math.ceil(3 * _SMOOTH)
    kernel = [math.exp(-0.5 * (d / _SMOOTH) ** 2) for d in range(-reach, reach + 1)]
    smooth = [
        sum(kernel[d + reach] * mass[k + d] for d in range(-reach, reach + 1) if 0 <= k + d < bins) for k in range(bins)
    ]
    most = max(smooth) or 1.0
    return [value / most for value in smooth]


def ridge(found: Ridge, axis: Axis) -> Markup:
    """One distribution: its shape, the middle with its interval, and where 95% and 99% of the calls lie."""
    shape = density(found.quantiles, axis)
    width = 1000 / len(shape)
    points = "".join(f"L{(k + 0.5) * width:.0f},{_FLOOR - 46 * value:.1f}" for k, value in enumerate(shape))
    area = element("path", d=f"M0,{_FLOOR}{points}L1000,{_FLOOR}Z", class_="hill", vector_effect="non-scaling-stroke")
    middle = share(axis.place(found.p50))
    made = [element("title", found.about)]
    made += [element("line", x1=at, x2=at, y1=0, y2=_FLOOR, class_="grid") for at in _lines(axis)]
    made.append(stretched(1000, HEIGHT, area))
    made.append(element("line", x1=0, x2="100%", y1=_FLOOR, y2=_FLOOR, class_="base"))
    if found.low is not None and found.high is not None and found.high > found.low:
        left, right = axis.place(found.low), axis.place(found.high)
        made.append(
            element("rect", x=share(left), width=share(right - left), y=4, height=_FLOOR - 4, class_="interval")
        )
    made.append(element("line", x1=middle, x2=middle, y1=4, y2=_FLOOR + 4, class_="middle"))
    for value, name in ((found.p95, "p95"), (found.p99, "p99")):
        if value is not None:
            made.append(element("circle", cx=share(axis.place(value)), cy=_FLOOR, r=3.5, class_=f"tail {name}"))
    return element("svg", *made, class_=f"ridge {found.tone}".strip(), height=HEIGHT, role="img")


def ruler(axis: Axis, scale: Scale) -> Markup:
    """The axis under the ridges."""
    ticks = [
        element("text", scale.tick(tick.value), x=share(tick.place), y=14, text_anchor="middle",
                class_="tick minor" if tick.minor else "tick")
        for tick in axis.ticks(8)
    ]  # fmt: skip
    unit = element("text", f"one call, {scale.unit}{', logarithmic' if axis.log else ''}", x="50%", y=34,
                   text_anchor="middle", class_="axis")  # fmt: skip
    return element("svg", *ticks, unit, class_="ruler", height=40, aria_hidden="true")


def _lines(axis: Axis) -> list[str]:
    return [share(tick.place) for tick in axis.ticks(8)]
