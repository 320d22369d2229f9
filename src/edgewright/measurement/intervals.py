"""Intervals for samples that come in visits: calls of one visit resemble each other, and so do neighbouring visits.

Order statistics over pooled calls would pretend that ten thousand calls of fifty visits are ten thousand independent
looks at the machine. These count visits.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgewright.core.statistics import Interval, ratio

Floats = NDArray[np.floating[Any]]

FEWEST = 6
"""Below six independent observations no two order statistics enclose the median with 95% (2 * 0.5**6 = 3%)."""


def dependence(series: Floats) -> float:
    """How much wider an interval of a mean over ``series`` (n,) must be because neighbours resemble each other.

    sqrt((1 + r) / (1 - r)) for the lag-one autocorrelation r of the ranks, as in a first-order autoregressive process
    (Box, Jenkins, Reinsel, Time Series Analysis, section 2.1). Ranks, so that single outliers count little. At least 1.
    """
    x = np.asarray(series, np.float64)
    if x.size < 8:
        return 1.0
    ranks = np.argsort(np.argsort(x, kind="stable"), kind="stable").astype(np.float64)
    _, inverse, counts = np.unique(x, return_inverse=True, return_counts=True)
    ranks = (np.bincount(inverse, ranks) / counts)[inverse]
    ranks -= ranks.mean()
    power = float(ranks @ ranks)
    if power <= 0:
        return 1.0
    r = float(ranks[1:] @ ranks[:-1]) / power
    r = min(max(r, 0.0), 0.95)
    # Below what pure chance gives (two standard errors of r), no widening.
    return 1.0 if r < 2 / math.sqrt(x.size) else math.sqrt((1 + r) / (1 - r))


def _critical(confidence: float, n: int) -> float:
    """Student's critical value for n observations by the Cornish-Fisher expansion's first two terms."""
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    v = max(n - 1, 1)
    return z * (1 + (z * z + 1) / (4 * v) + (5 * z**4 + 16 * z * z + 3) / (96 * v * v))


def clustered_quantile(visits: Sequence[Floats], q: float, confidence: float = 0.95) -> Interval:
    """The ``q``-quantile of all samples, with an interval that counts visits, not samples. ``n`` counts samples.

    Woodruff, "Confidence intervals for medians and other position measures", JASA 47 (1952): the share of samples at
    or below the quantile varies from visit to visit; that variation, not the binomial one, sets the ranks between
    which the interval lies. Never narrower than independent samples would give. Ends at the extremes where the tail
    has too few samples.
    """
    if not visits or not 0 < q < 1:
        raise ValueError("a quantile needs samples and 0 < q < 1")
    sizes = np.array([len(v) for v in visits], np.float64)
    pooled = np.concatenate([np.asarray(v, np.float64) for v in visits])
    value = float(np.quantile(pooled, q))
    n, count = pooled.size, len(visits)
    below = np.array([np.count_nonzero(np.asarray(v, np.float64) <= value) for v in visits], np.float64)
    share = below.sum() / n
    variance = q * (1 - q) / n
    if count > 1:
        residual = below - share * sizes
        between = count / (count - 1) * float(residual @ residual) / n**2
        variance = max(variance, between * dependence(residual) ** 2)
    reach = _critical(confidence, count if count > 1 else n) * math.sqrt(variance)
    x = np.sort(pooled)
    low = x[min(max(math.floor(n * (q - reach)) - 1, 0), n - 1)]
    high = x[min(max(math.ceil(n * (q + reach)), 0), n - 1)]
    return Interval(value, min(float(low), value), max(float(high), value), n)


def paired_ratio(numerator: Floats, denominator: Floats, confidence: float = 0.95, seed: int = 0) -> Interval:
    """Median of ``numerator[i] / denominator[i]`` over rounds, widened where neighbouring rounds resemble each other.

    Raises ValueError as ``core.statistics.ratio`` does.
    """
    found = ratio(numerator, denominator, confidence, draws=1000 if len(numerator) < 2000 else 300, seed=seed)
    wider = dependence(np.log(np.asarray(numerator, np.float64) / np.asarray(denominator, np.float64)))
    low = found.value * (found.low / found.value) ** wider
    high = found.value * (found.high / found.value) ** wider
    return Interval(found.value, min(low, found.value), max(high, found.value), found.n)


def median_ratio(numerator: Floats, denominator: Floats, confidence: float = 0.95) -> Interval:
    """As ``paired_ratio``, from order statistics instead of a bootstrap: cheap enough to ask again and again."""
    ratios = np.asarray(numerator, np.float64) / np.asarray(denominator, np.float64)
    n = ratios.size
    reach = _critical(confidence, n) * math.sqrt(0.25 / n) * dependence(np.log(ratios))
    x = np.sort(ratios)
    low, high = math.floor(n * (0.5 - reach)) - 1, math.ceil(n * (0.5 + reach))
    value = float(np.median(x))
    return Interval(value, min(float(x[max(low, 0)]), value), max(float(x[min(high, n - 1)]), value), n)


def between_openings(log_levels: Sequence[Floats]) -> tuple[float, int]:
    """Standard error of a level over the openings of one subject, in logarithms, and its degrees of freedom.

    ``log_levels`` holds the logarithms of each opening's times. Where a session's memory happens to lie makes it
    faster or slower for as long as it lives (Mytkowicz and others, "Producing wrong data without doing anything
    obviously wrong!", ASPLOS 2009), so rounds alone cannot tell. (0.0, 0) for a single opening: not known.
    """
    medians = np.array([np.median(level) for level in log_levels if len(level)])
    if medians.size < 2:
        return 0.0, 0
    return float(medians.std(ddof=1)) / math.sqrt(medians.size), int(medians.size) - 1


def widen(found: Interval, errors: Sequence[tuple[float, int]], confidence: float = 0.95) -> Interval:
    """``found`` (positive) widened by independent standard errors in logarithms, each with its degrees of freedom."""
    freedom = sum(df for _, df in errors)
    if not freedom or not found.low > 0:
        return found
    extra = _critical(confidence, freedom + 1) * math.sqrt(sum(e * e for e, _ in errors))
    low = found.value * math.exp(-math.hypot(math.log(found.value / found.low), extra))
    high = found.value * math.exp(math.hypot(math.log(found.high / found.value), extra))
    return Interval(found.value, min(low, found.value), max(high, found.value), found.n)


def median_of(values: Sequence[float] | Floats) -> Interval:
    """Median of a few independent runs with the narrowest order-statistic interval of at least 95%.

    Under six runs no such interval exists and the range of what was seen is given instead; ``interval_note`` names it.
    """
    x = np.sort(np.asarray(values, np.float64))
    n = x.size
    if n == 0:
        raise ValueError("a median needs samples")
    rank = 0
    while n >= FEWEST and 2 * _binomial_tail(n, rank + 1) <= 0.05:
        rank += 1
    return Interval(float(np.median(x)), float(x[rank]), float(x[n - 1 - rank]), n)


def _binomial_tail(n: int, k: int) -> float:
    """P(X <= k) for X binomial with n trials of probability one half."""
    return float(sum(math.comb(n, i) for i in range(k + 1))) / 2.0**n


def interval_note(n: int) -> dict[str, str]:
    """What ``conditions`` must say about an interval from ``n`` independent observations; empty from six on."""
    return {} if n >= FEWEST else {"interval": f"range of {n}" if n > 1 else "one run"}


def two_modes(samples: Floats, separation: float = 5.0, least: float = 0.1, gap: float = 0.05) -> tuple[float, ...]:
    """The two typical values when ``samples`` fall into two heaps, else an empty tuple.

    The best split in two by variance (Otsu, 1979) of the logarithms, held to be two heaps when each has ``least`` of
    the samples, they lie ``gap`` apart as a share, and Ashman's D (Ashman, Bird, Zepf, 1994) is over ``separation``
    (a split uniform distribution has 3.5, a split normal one 2.7).
    """
    x = np.sort(np.log(np.asarray(samples, np.float64)))
    n = x.size
    if n < 20:
        return ()
    left = np.arange(1, n)
    head = np.cumsum(x)[:-1]
    total = float(x.sum())
    between = (head / left - (total - head) / (n - left)) ** 2 * left * (n - left)
    cut = int(np.argmax(between)) + 1
    if min(cut, n - cut) < least * n:
        return ()
    low, high = x[:cut], x[cut:]
    distance = float(high.mean() - low.mean())
    spread = math.sqrt((float(low.var()) + float(high.var())) / 2)
    if distance < math.log1p(gap) or distance <= separation * spread:
        return ()
    return (float(np.exp(np.median(low))), float(np.exp(np.median(high))))


def trend(times: Floats, values: Floats, confidence: float = 0.95) -> Interval:
    """Change of ``values`` per unit of ``times``: the Theil-Sen slope with Sen's interval.

    Sen, "Estimates of the regression coefficient based on Kendall's tau", JASA 63 (1968). At most 300 points are used,
    evenly chosen.
    """
    if len(times) < 3:
        raise ValueError("a trend needs three points")
    chosen = np.unique(np.linspace(0, len(times) - 1, min(len(times), 300)).round().astype(int))
    t, y = np.asarray(times, np.float64)[chosen], np.asarray(values, np.float64)[chosen]
    n = t.size
    first, second = np.triu_indices(n, 1)
    slopes = np.sort((y[second] - y[first]) / np.maximum(t[second] - t[first], 1e-12))
    value = float(np.median(slopes))
    wide = dependence(y - value * t)
    spread = NormalDist().inv_cdf(0.5 + confidence / 2) * math.sqrt(n * (n - 1) * (2 * n + 5) / 18) * wide
    low = max(math.floor((slopes.size - spread) / 2), 0)
    high = min(math.ceil((slopes.size + spread) / 2), slopes.size - 1)
    return Interval(value, min(float(slopes[low]), value), max(float(slopes[high]), value), n)
