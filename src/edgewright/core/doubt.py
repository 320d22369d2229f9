"""Doubt: how probable it is that an answer is wrong, by how far its class leads; told without labels.

An answer's lead is its largest logit minus the next one (the logarithm of the ratio of the two largest probabilities),
at least 0. Each release has a curve of its own from leads to errors, fitted on held-out answers (Platt, "Probabilistic
outputs for support vector machines", 1999); the mean of its values over live answers estimates the live error (Guillory
et al., "Predicting with confidence on unseen distributions", ICCV 2021). A recalibrated model (temperature scaling) has
other leads and, by the same factor, another curve: its doubt is the same.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True)
class DoubtCurve:
    """P(wrong) = 1 / (1 + exp(intercept + slope * lead)); goes with a bundle."""

    intercept: float
    slope: float

    def __post_init__(self) -> None:
        if not math.isfinite(self.intercept) or not 0 <= self.slope < math.inf:
            raise ValueError("a curve of doubt needs a finite intercept and a slope that is not negative")

    def of(self, leads: ArrayLike) -> NDArray[np.float64]:
        """The probability of each answer (n,) to be wrong."""
        made: NDArray[np.float64] = np.exp(-np.logaddexp(0.0, self.intercept + self.slope * np.asarray(leads, float)))
        return made


def fit_doubt(leads: ArrayLike, wrong: ArrayLike) -> DoubtCurve:
    """The curve of held-out answers: ``leads`` (n,), ``wrong`` (n,) booleans. By Newton's method, with Platt's targets,
    so that there is one also where none was wrong. Raises ValueError for no answers or leads that are not finite."""
    x, y = np.asarray(leads, np.float64).ravel(), np.asarray(wrong, np.bool_).ravel()
    if not x.size or x.shape != y.shape or not np.isfinite(x).all():
        raise ValueError("a curve needs held-out leads, finite, and for each whether the answer was wrong")
    bad = int(y.sum())
    target = np.where(y, (bad + 1) / (bad + 2), 1 / (y.size - bad + 2))
    unit = float(np.abs(x).mean()) or 1.0
    design = np.stack([np.ones(x.size), x / unit], axis=1)
    beta = np.array([math.log((y.size - bad + 1) / (bad + 1)), 0.0])
    for _ in range(50):
        p = np.exp(-np.logaddexp(0.0, design @ beta))
        slope = design.T @ (p - target)
        bent = (design * (p * (1 - p))[:, None]).T @ design + 1e-9 * x.size * np.eye(2)
        step = np.linalg.solve(bent, slope)
        beta = beta + step * min(1.0, 5.0 / max(float(np.abs(step).max()), 1e-12))
        if float(np.abs(step).max()) < 1e-9:
            break
    return DoubtCurve(float(beta[0]), max(float(beta[1]) / unit, 0.0))
