"""Means of bounded values, by betting: no normality, no variance, any shape.

Waudby-Smith, Ramdas, "Estimating means of bounded random variables by betting", Journal of the Royal Statistical
Society B 86 (2024). The capital of whoever bets a fixed share on each value is a supermartingale under the hypothesis;
the average over a fixed grid of shares needs no tuning and is within a constant of the best of them in hindsight.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from edgewright.core.sequential.budget import Floats, log_sum

_STAKES = (np.arange(32) + 0.5) / 32


def bounded_above(values: ArrayLike, mean: float) -> float:
    """Log evidence against "each value in [0, 1] has a mean of at most ``mean``, given those before it".

    ``values`` (n,) in an order that does not depend on them. Raises ValueError for values outside of [0, 1].
    """
    return _capital(_values(values), mean)


def bounded_below(values: ArrayLike, mean: float) -> float:
    """Log evidence against "each value has a mean of at least ``mean``"."""
    return _capital(1.0 - _values(values), 1.0 - mean)


def bounded_sequence(values: ArrayLike, alpha: float = 0.05) -> tuple[float, float]:
    """The confidence sequence of the mean of values in [0, 1]: each end is given ``alpha`` / 2."""
    x = _values(values)
    if not x.size:
        return 0.0, 1.0
    return _lower(x, alpha / 2), 1.0 - _lower(1.0 - x, alpha / 2)


def _lower(x: Floats, alpha: float) -> float:
    # The capital falls as the mean it bets against grows, so the means that are not rejected begin at one point.
    if _capital(x, 0.0) < -math.log(alpha):
        return 0.0
    low, high = 0.0, float(x.mean())
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if _capital(x, middle) >= -math.log(alpha) else (low, middle)
    return low


def _capital(x: Floats, mean: float) -> float:
    if mean >= 1 or not x.size:
        return 0.0
    if mean <= 0:
        return math.inf if x.any() else 0.0
    with np.errstate(divide="ignore"):
        logs = np.log1p(np.outer(_STAKES / mean, x - mean)).sum(axis=1)
    return log_sum(logs - math.log(_STAKES.size))


def _values(values: ArrayLike) -> Floats:
    x = np.asarray(values, np.float64).ravel()
    if not ((x >= 0) & (x <= 1)).all():
        raise ValueError("betting needs values between 0 and 1")
    return x
