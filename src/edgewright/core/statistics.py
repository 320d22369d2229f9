"""Interval statistics: quantiles without a distribution, paired differences, ratios of interleaved runs.

Every function takes and returns plain floats and arrays, is deterministic, and gives a 95% interval unless told
otherwise.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Interval:
    """A point estimate with its interval and the number of observations behind it."""

    value: float
    low: float
    high: float
    n: int


def quantile(samples: Floats, q: float, confidence: float = 0.95) -> Interval:
    """The ``q``-quantile with the distribution-free interval of two order statistics.

    The ranks come from the binomial distribution's normal approximation (Conover, Practical Nonparametric
    Statistics, 3rd ed., section 3.2). With too few samples for the tail the interval ends at the extremes.
    """
    x = np.sort(np.asarray(samples, dtype=np.float64).ravel())
    n = x.size
    if n == 0 or not 0 < q < 1:
        raise ValueError("a quantile needs samples and 0 < q < 1")
    spread = NormalDist().inv_cdf(0.5 + confidence / 2) * math.sqrt(n * q * (1 - q))
    low = x[max(math.floor(n * q - spread) - 1, 0)]
    high = x[min(math.ceil(n * q + spread), n - 1)]
    value = float(np.quantile(x, q))
    return Interval(value, min(float(low), value), max(float(high), value), n)


def bootstrap_mean(samples: Floats, confidence: float = 0.95, draws: int = 2000, seed: int = 0) -> Interval:
    """The mean of ``samples`` (n,) with a percentile-bootstrap interval (Efron, 1979)."""
    x = np.asarray(samples, dtype=np.float64).ravel()
    if x.size == 0:
        raise ValueError("a mean needs samples")
    rng = np.random.default_rng(seed)
    means = np.empty(draws)
    for start in range(0, draws, 256):
        count = min(256, draws - start)
        means[start : start + count] = x[rng.integers(0, x.size, (count, x.size))].mean(axis=1)
    low, high = np.quantile(means, [(1 - confidence) / 2, (1 + confidence) / 2])
    value = float(x.mean())
    return Interval(value, min(float(low), value), max(float(high), value), x.size)


def wilson(successes: int, n: int, confidence: float = 0.95) -> Interval:
    """A proportion with its score interval (Wilson, 1927). For one look only, not for repeated ones."""
    if n <= 0 or not 0 <= successes <= n:
        raise ValueError("a proportion needs 0 <= successes <= n and n > 0")
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    p = successes / n
    middle = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return Interval(p, min(max(middle - half, 0.0), p), max(min(middle + half, 1.0), p), n)


def binomial_tail(k: int, n: int, p: float) -> float:
    """P(X >= k) for X binomial with ``n`` trials of probability ``p``: exact, summed from the largest term down."""
    if k <= 0 or p >= 1:
        return 1.0
    if k > n or p <= 0:
        return 0.0
    if k <= n * p:
        return 1.0 - binomial_tail(n - k + 1, n, 1 - p)
    log = math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1) + k * math.log(p) + (n - k) * math.log1p(-p)
    term = total = math.exp(log)
    for i in range(k, n):
        term *= (n - i) / (i + 1) * p / (1 - p)
        total += term
        if term < 1e-17 * total:
            break
    return min(total, 1.0)


def paired_proportions(before: NDArray[np.bool_], after: NDArray[np.bool_], confidence: float = 0.95) -> Interval:
    """``mean(after) - mean(before)`` for paired right/wrong answers (n,), with Newcombe's hybrid score interval.

    Newcombe, "Improved confidence intervals for the difference between binomial proportions based on paired data",
    Statistics in Medicine 17 (1998), method 10.
    """
    if before.shape != after.shape or before.size == 0:
        raise ValueError("paired answers need the same, non-zero length")
    n = int(before.size)
    a, b = int((before & after).sum()), int((after & ~before).sum())
    c = int((before & ~after).sum())
    d = n - a - b - c
    first, second = wilson(a + b, n, confidence), wilson(a + c, n, confidence)
    product = (a + b) * (c + d) * (a + c) * (b + d)
    if product:
        cross = float(a * d - b * c)
        if cross > n / 2:
            cross -= n / 2
        elif cross >= 0:
            cross = 0.0
        phi = cross / math.sqrt(product)
    else:
        phi = 0.0
    delta = (b - c) / n
    dl1, du1 = first.value - first.low, first.high - first.value
    dl2, du2 = second.value - second.low, second.high - second.value
    low = delta - math.sqrt(max(dl1 * dl1 - 2 * phi * dl1 * du2 + du2 * du2, 0.0))
    high = delta + math.sqrt(max(du1 * du1 - 2 * phi * du1 * dl2 + dl2 * dl2, 0.0))
    return Interval(delta, min(low, delta), max(high, delta), n)


def paired_means(before: Floats, after: Floats, confidence: float = 0.95, seed: int = 0) -> Interval:
    """``mean(after - before)`` for paired scores (n,), with a bootstrap interval over the pairs."""
    if before.shape != after.shape:
        raise ValueError("paired scores need the same length")
    return bootstrap_mean(np.asarray(after, np.float64) - np.asarray(before, np.float64), confidence, seed=seed)


def ratio(
    numerator: Floats, denominator: Floats, confidence: float = 0.95, draws: int = 2000, seed: int = 0
) -> Interval:
    """Median of the ratios of interleaved blocks, ``numerator[i] / denominator[i]``, bootstrapped over blocks.

    Each pair must come from neighbouring moments of one run, so that the machine's drift cancels.
    """
    a, b = np.asarray(numerator, np.float64), np.asarray(denominator, np.float64)
    if a.shape != b.shape or a.size == 0 or not (b > 0).all():
        raise ValueError("ratios need as many positive denominators as numerators")
    ratios = a / b
    rng = np.random.default_rng(seed)
    medians = np.median(ratios[rng.integers(0, ratios.size, (draws, ratios.size))], axis=1)
    low, high = np.quantile(medians, [(1 - confidence) / 2, (1 + confidence) / 2])
    value = float(np.median(ratios))
    return Interval(value, min(float(low), value), max(float(high), value), int(ratios.size))
