"""Several e-processes under one budget of error."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def combined(logs: Sequence[float], weights: Sequence[float]) -> float:
    """The logarithm of the weighted sum of e-values, from their logarithms.

    The sum is an e-process itself whatever the dependence between its parts (Vovk, Wang, "E-values: calibration,
    combination and applications", Annals of Statistics 49, 2021), as long as the weights were fixed beforehand.
    Raises ValueError for weights that are negative or more than 1 together.
    """
    if len(logs) != len(weights) or not logs or min(weights) < 0 or sum(weights) > 1 + 1e-9:
        raise ValueError("e-values are combined with as many weights, none negative, their sum at most 1")
    return log_sum(np.array([log_e + math.log(weight) for log_e, weight in zip(logs, weights, strict=True) if weight]))


def rejects(log_e: float, alpha: float) -> bool:
    """Whether the evidence suffices at a level of error ``alpha`` over all looks."""
    return log_e >= -math.log(alpha)


def log_sum(logs: Floats) -> float:
    """log(sum(exp(logs))) without overflow; -inf for nothing."""
    top = float(logs.max(initial=-math.inf))
    return top if math.isinf(top) else top + math.log(float(np.exp(logs - top).sum()))
