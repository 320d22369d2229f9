"""Effects: how far canaries moved against devices that run on unchanged, each against its own past.

Analysis of covariance with strata (Fisher; CUPED: Deng, Xu, Kohavi, Walker, WSDM 2013), by devices: inferences of one
device are not independent of one another. Contributions are clipped and weights bounded, so that what one device can
do to the estimate, whatever it reports, is bounded (Huber, "Robust statistics", 1981).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Indices = NDArray[np.integer[Any]]

_CLIP = 3.0
"""Robust standard deviations beyond which a device counts as if it lay there."""
_PRIOR = 4.0
"""Degrees of freedom that the prior idea of devices' own variance is worth."""
_OWN = 8
"""Canaries from which on their own spread is believed where it is larger than what both arms share."""
_HEAVIEST = 4.0
"""A device weighs at most so many times what the middle one weighs."""


@dataclass(frozen=True)
class Effect:
    """An estimate with its variance and the degrees of freedom of that; ``slope``: on the device's own past."""

    estimate: float
    variance: float
    freedom: float
    canaries: int
    controls: int
    slope: float = 1.0


@dataclass(frozen=True)
class Panel:
    """One metric of all devices (N,): means and what is known of their sampling variance in both windows.

    ``before`` is NaN for a device without a past; variances are those of the means, 0 where unknown.
    """

    after: Floats
    after_variance: Floats
    before: Floats
    before_variance: Floats
    stratum: Indices
    canary: NDArray[np.bool_]


def compare(panel: Panel, margin: float) -> Effect | None:
    """Canaries' change minus controls'; None without both. ``margin`` sets how steady devices are taken to be before
    anything is known of them: half of it is their standard deviation then."""
    panel = _comparable(panel)
    canaries, controls = int(panel.canary.sum()), int((~panel.canary).sum())
    if not canaries or not controls:
        return None
    past = _past(panel)
    slope = _slope(panel, past, margin)
    values = panel.after - slope * past
    within = panel.after_variance + slope * slope * np.where(np.isnan(panel.before), 0.0, panel.before_variance)
    values = _clipped(values, panel.stratum, panel.canary, within, margin)
    freedom = values.size - np.unique(panel.stratum).size - 1
    weights, known = _weights(_residuals(values, panel), within, freedom, margin)
    arm = _centred(panel.canary.astype(np.float64), panel.stratum, weights)
    spread = float((weights * arm * arm).sum())
    estimate = float((weights * arm * values).sum()) / spread
    left = _centred(values, panel.stratum, weights) - estimate * arm
    own = float((weights * weights * arm * arm * left * left).sum()) / (spread * spread)
    return Effect(estimate, *_surer(1.0 / spread, own, known, canaries), canaries, controls, slope)


def average(values: Floats, within: Floats, margin: float, canaries: bool = True) -> Effect | None:
    """The mean over devices of one arm, clipped and weighted alike; None without devices."""
    n = values.size
    if not n:
        return None
    one = np.zeros(n, np.int64)
    values = _clipped(values, one, np.ones(n, np.bool_), within, margin)
    weights, known = _weights(values - values.mean(), within, n - 1, margin)
    total = float(weights.sum())
    estimate = float((weights * values).sum()) / total
    own = float((weights * weights * (values - estimate) ** 2).sum()) / (total * total)
    return Effect(estimate, *_surer(1.0 / total, own, known, n), n if canaries else 0, 0 if canaries else n)


def _surer(shared: float, own: float, known: float, n: int) -> tuple[float, float]:
    """The larger of two variances: what both arms share, and what ``n`` devices show of themselves. Where those differ
    more than by chance the release makes devices unlike, and there are only their degrees of freedom to tell by."""
    grown = own * n / (n - 1) if n >= _OWN else 0.0
    return max(grown, shared), _PRIOR + n - 1 if grown > 2 * shared else known


def _comparable(panel: Panel) -> Panel:
    # Strata with one arm only say nothing; where that is all of them, strata are given up.
    arms = [set(panel.canary[panel.stratum == s].tolist()) for s in range(int(panel.stratum.max(initial=-1)) + 1)]
    mixed = np.array([len(a) == 2 for a in arms], np.bool_)
    if mixed.any():
        keep = mixed[panel.stratum]
        _, stratum = np.unique(panel.stratum[keep], return_inverse=True)
    else:
        keep, stratum = np.ones(panel.after.size, np.bool_), np.zeros(panel.after.size, np.int64)
    return Panel(
        panel.after[keep], panel.after_variance[keep], panel.before[keep], panel.before_variance[keep],
        stratum.astype(np.int64), panel.canary[keep],
    )  # fmt: skip


def _past(panel: Panel) -> Floats:
    # Each device's past minus its stratum's middle; a device without one is taken to be like the others.
    past = np.zeros_like(panel.before)
    known = ~np.isnan(panel.before)
    for s in np.unique(panel.stratum):
        here = (panel.stratum == s) & known
        if here.any():
            past[here] = panel.before[here] - np.median(panel.before[here])
    return past


def _slope(panel: Panel, past: Floats, margin: float) -> float:
    # Learned from controls alone, so that no canary can bend it; few of them: the plain difference.
    use = ~panel.canary & ~np.isnan(panel.before)
    if use.sum() < 10:
        return 1.0
    x = _bounded(past[use], margin)
    y = panel.after[use]
    strata = panel.stratum[use]
    y = _bounded(y - _medians(y, strata), margin)
    ones = np.ones(x.size)
    x, y = _centred(x, strata, ones), _centred(y, strata, ones)
    total = float((x * x).sum())
    return min(max(float((x * y).sum()) / total, 0.0), 1.0) if total > 0 else 1.0


def _clipped(values: Floats, stratum: Indices, canary: NDArray[np.bool_], within: Floats, margin: float) -> Floats:
    # Around each arm's own middle, by the controls' spread: a canary cannot widen what it is clipped to.
    judge = ~canary if (~canary).sum() >= 10 else np.ones(values.size, np.bool_)
    flat = values - _medians(values, stratum)
    scale = max(_spread(flat[judge]), math.sqrt(float(np.median(within))), margin / 2)
    made = values.copy()
    for arm in (canary, ~canary):
        if arm.any():
            middle = float(np.median(flat[arm]))
            made[arm] += np.clip(flat[arm], middle - _CLIP * scale, middle + _CLIP * scale) - flat[arm]
    return made


def _bounded(x: Floats, margin: float) -> Floats:
    reach = _CLIP * max(_spread(x), margin / 2)
    middle = float(np.median(x))
    return np.clip(x, middle - reach, middle + reach)


def _residuals(values: Floats, panel: Panel) -> Floats:
    ones = np.ones(values.size)
    arm = _centred(panel.canary.astype(np.float64), panel.stratum, ones)
    flat = _centred(values, panel.stratum, ones)
    return flat - float((arm * flat).sum() / (arm * arm).sum()) * arm


def _weights(residuals: Floats, within: Floats, freedom: int, margin: float) -> tuple[Floats, float]:
    # 1 / (devices' own variance + sampling variance); the first by moments, held up by a prior of margin / 2.
    # Moments over devices whose figures are about as sure as most: no device decides how steady the others are.
    prior = (margin / 2) ** 2
    usual = within <= _HEAVIEST * np.median(within)
    found = 0.0
    if freedom > 0:
        grown = float((residuals[usual] ** 2).mean()) * residuals.size / freedom
        found = max(grown - float(within[usual].mean()), 0.0)
    between = (_PRIOR * prior + max(freedom, 0) * found) / (_PRIOR + max(freedom, 0))
    weights = 1.0 / (between + within)
    # Only devices' own variance is estimated; that of sampling is known (Satterthwaite, Biometrics Bulletin 2, 1946).
    part = between / (between + float(np.median(within)))
    return np.minimum(weights, _HEAVIEST * np.median(weights)), (_PRIOR + max(freedom, 0)) / (part * part)


def _centred(x: Floats, stratum: Indices, weights: Floats) -> Floats:
    total = np.bincount(stratum, weights)
    return x - (np.bincount(stratum, weights * x) / np.where(total > 0, total, 1.0))[stratum]


def _medians(x: Floats, stratum: Indices) -> Floats:
    made = np.zeros_like(x)
    for s in np.unique(stratum):
        made[stratum == s] = np.median(x[stratum == s])
    return made


def _spread(x: Floats) -> float:
    return 1.4826 * float(np.median(np.abs(x - np.median(x)))) if x.size else 0.0
