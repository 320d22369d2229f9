"""Tests and intervals that hold however often, and whenever, one looks.

An e-process against a hypothesis is a value that, while the hypothesis is true, is at most 1 on average at whatever
time one stops (Ramdas, Grünwald, Vovk, Shafer, "Game-theoretic statistics and safe anytime-valid inference",
Statistical Science 38, 2023). Whoever rejects when it first reaches 1 / alpha is wrong with a probability of at most
alpha, over all looks together (Ville, 1939). A confidence sequence is the set of values that are not rejected.

    log_e = exceeds(failed, n, limit)                the share of failures is above a limit
    low, high = rate_sequence(failed, n, alpha)      the share of failures
    log_e = above(estimate, variance, scale)         a mean is above zero (normal, in information time)
    low, high = mean_sequence(estimate, variance, alpha, scale)
    log_e = bounded_above(values, mean)              the mean of values in [0, 1] is above one, whatever their shape
    low, high = bounded_sequence(values, alpha)
    log_e = combined(logs, weights)                  several of them under one budget

All evidence is a natural logarithm: e-values outgrow floats.
"""

from edgewright.core.sequential.betting import bounded_above, bounded_below, bounded_sequence
from edgewright.core.sequential.binomial import below, exceeds, rate_sequence
from edgewright.core.sequential.budget import combined, rejects
from edgewright.core.sequential.normal import above, mean_sequence, normal_score

__all__ = [
    "above", "below", "bounded_above", "bounded_below", "bounded_sequence", "combined", "exceeds", "mean_sequence",
    "normal_score", "rate_sequence", "rejects",
]  # fmt: skip
