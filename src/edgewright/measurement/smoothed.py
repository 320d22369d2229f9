"""A smoothed drop in accuracy: near misses count in part, so that a few hundred samples tell more than their errors.

A sample's margin is its label's score less the best other. Right or wrong is the margin's sign; here it is the normal
distribution function of the margin over a bandwidth, the same for both models: a quarter of the standard deviation of
how far the margins moved. An estimator of the same drop with less variance and a small bias (kernel smoothing of an
error count, as in Glick, "Additive estimators for probabilities of correct classification", Pattern Recognition 10,
1978).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from edgewright.measurement.accuracy import Evaluation

_BANDWIDTH = 0.25


def smoothed_drop(baseline: Evaluation, candidate: Evaluation) -> float | None:
    """The drop in points, or None where answers are no scores of classes or not finite.

    Without labels the original's own classes stand in, as for agreement.
    """
    choice = baseline.choice
    if choice.form != "scores" or choice.metric.name not in ("top1", "agreement"):
        return None
    before, after = baseline.kept.get(choice.output), candidate.kept.get(choice.output)
    if before is None or after is None or before.shape != after.shape or before.ndim != 2:
        return None
    if not (np.isfinite(before).all() and np.isfinite(after).all()):
        return None
    labels = before.argmax(axis=1) if choice.metric.against_original else baseline.labels
    if labels is None or labels.ndim != 1:
        return None
    first, second = _margins(before, labels[: len(before)]), _margins(after, labels[: len(before)])
    width = _BANDWIDTH * float(np.std(second - first))
    if width == 0:
        return 0.0
    return 100.0 * float(np.mean(_normal(first / width) - _normal(second / width)))


def _margins(scores: NDArray[np.float32], labels: NDArray[np.int64]) -> NDArray[np.float64]:
    rows = np.arange(len(scores))
    own = scores[rows, labels].astype(np.float64)
    others = scores.astype(np.float64)
    others[rows, labels] = -np.inf
    margins: NDArray[np.float64] = own - others.max(axis=1)
    return margins


def _normal(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.array([0.5 * (1 + math.erf(v / math.sqrt(2))) for v in x])
