"""Shares of failures: an e-process against a limit, and the confidence sequence of the share."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache

import numpy as np

from edgewright.core.sequential.budget import Floats, log_sum

_POINTS = 64


def exceeds(failed: int, n: int, limit: float) -> float:
    """Log evidence against "each of ``n`` trials fails with a probability of at most ``limit``, whatever came before".

    The likelihood ratio to ``limit``, averaged over a fixed grid of greater probabilities. Each ratio is a
    supermartingale under any probability up to the limit, as p q / l + (1 - p)(1 - q) / (1 - l) grows with p and is 1
    at p = l; so is their average. ``inf`` for a failure where none is allowed. Raises ValueError for impossible counts.
    """
    _check(failed, n, limit)
    if limit >= 1:
        return 0.0
    if limit <= 0:
        return math.inf if failed else 0.0
    up, down = _ratios(limit)
    return log_sum(failed * up + (n - failed) * down - math.log(_POINTS))


def below(failed: int, n: int, limit: float) -> float:
    """Log evidence against "each trial fails with a probability of at least ``limit``": that the share is below it."""
    return exceeds(n - failed, n, 1.0 - limit)


def rate_sequence(failed: int, n: int, alpha: float = 0.05) -> tuple[float, float]:
    """The confidence sequence of the share of failures: both ends hold at all looks together but for ``alpha``.

    All p whose likelihood, against the average likelihood over Jeffreys' prior, is above ``alpha`` (Robbins, 1970;
    Howard, Ramdas, McAuliffe, Sekhon, "Time-uniform, nonparametric, nonasymptotic confidence sequences", Annals of
    Statistics 49, 2021, section 3).
    """
    _check(failed, n, 0.5)
    if n == 0:
        return 0.0, 1.0
    mixed = math.lgamma(failed + 0.5) + math.lgamma(n - failed + 0.5) - math.lgamma(n + 1) - math.log(math.pi)
    floor = mixed + math.log(alpha)

    def inside(p: float) -> bool:
        if (failed and p <= 0) or (n - failed and p >= 1):
            return False
        return (failed * math.log(p) if failed else 0.0) + (
            (n - failed) * math.log1p(-p) if n > failed else 0.0
        ) > floor

    at = failed / n
    return _edge(0.0, at, inside), _edge(1.0, at, inside)


def _edge(outside: float, at: float, inside: Callable[[float], bool]) -> float:
    if inside(outside):
        return outside
    low, high = outside, at
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (low, middle) if inside(middle) else (middle, high)
    return low


@lru_cache(maxsize=256)
def _ratios(limit: float) -> tuple[Floats, Floats]:
    # Even steps of the logit from just above the limit: shares a little above it, and broken releases, are both near.
    start, end = math.log(limit) - math.log1p(-limit), 7.0
    logits = start + (np.arange(_POINTS) + 0.5) / _POINTS * max(end - start, 1.0)
    log_q, log_not = -np.logaddexp(0, -logits), -np.logaddexp(0, logits)
    return log_q - math.log(limit), log_not - math.log1p(-limit)


def _check(failed: int, n: int, limit: float) -> None:
    if not 0 <= failed <= n or math.isnan(limit):
        raise ValueError("a share needs 0 <= failed <= n and a limit")
