"""Metrics: what a model's answers are worth, and how sure a difference between two models on the same samples is.

A metric is one small class; the table is the whole registration. ``record`` turns answers into what is kept of every
sample; ``weighted`` gives the value for any weighting of the samples, which is all a bootstrap over pairs needs.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from edgewright.core.errors import InputError
from edgewright.core.statistics import Interval, paired_proportions, wilson
from edgewright.core.table import Table

Wants = Literal["class", "scores", "numbers", "outputs"]
Weighted = Callable[[NDArray[np.float64]], float]
"""From how often each sample was drawn (n,) to the metric's value."""


@dataclass(frozen=True)
class Metric(ABC):
    """Base of every metric. ``scale`` takes its values to ``unit``: shares are told in points, 100 to the whole."""

    name: ClassVar[str]
    title: ClassVar[str]
    wants: ClassVar[Wants]
    unit: ClassVar[str] = "points"
    scale: ClassVar[float] = 100.0
    higher_is_better: ClassVar[bool] = True
    against_original: ClassVar[bool] = False
    """Whether the original's answers stand in for labels."""
    draws: ClassVar[int] = 1000

    def record(self, answers: NDArray[Any], labels: NDArray[Any] | None) -> NDArray[Any]:
        """What is kept of each sample: (n, ...) for answers (n, ...)."""
        return answers

    @abstractmethod
    def weighted(self, record: NDArray[Any], labels: NDArray[Any] | None) -> Weighted:
        """The value as a function of the samples' weights."""

    def value(self, record: NDArray[Any], labels: NDArray[Any] | None) -> Interval:
        """The value with its interval, unscaled."""
        function = self.weighted(record, labels)
        # A quarter of the draws: decisions rest on differences, this interval is for the reader.
        return _bootstrap(function, len(record), max(self._draws(record) // 4, 100))

    def difference(self, before: NDArray[Any], after: NDArray[Any], labels: NDArray[Any] | None) -> Interval:
        """``after`` minus ``before`` on the same samples, unscaled, with an interval over the pairs."""
        first, second = self.weighted(before, labels), self.weighted(after, labels)
        return _bootstrap(lambda w: second(w) - first(w), len(before), self._draws(before))

    def named(self) -> str:
        """The name ``metric`` finds it by."""
        return self.name

    def code(self) -> str:
        """What a kept figure depends on besides the name: "" for our own metrics, whose release is known."""
        return ""

    def _draws(self, record: NDArray[Any]) -> int:
        return self.draws


@dataclass(frozen=True)
class Top1(Metric):
    """Share of samples whose class is right."""

    name: ClassVar[str] = "top1"
    title: ClassVar[str] = "top-1 accuracy"
    wants: ClassVar[Wants] = "class"

    def weighted(self, record: NDArray[Any], labels: NDArray[Any] | None) -> Weighted:
        """The value as a function of the samples' weights."""
        right = (record == labels).astype(np.float64)
        return lambda w: float(w @ right / w.sum())

    def value(self, record: NDArray[Any], labels: NDArray[Any] | None) -> Interval:
        """The share, with Wilson's interval."""
        return wilson(int((record == labels).sum()), len(record))

    def difference(self, before: NDArray[Any], after: NDArray[Any], labels: NDArray[Any] | None) -> Interval:
        """The paired difference, with Newcombe's interval."""
        return paired_proportions(before == labels, after == labels)


@dataclass(frozen=True)
class Agreement(Top1):
    """Share of samples on which the model answers with the original's class; ``labels`` are the original's answers."""

    name: ClassVar[str] = "agreement"
    title: ClassVar[str] = "agreement with the original"
    against_original: ClassVar[bool] = True


@dataclass(frozen=True)
class F1(Metric):
    """Mean over classes of the harmonic mean of precision and recall; classes that occur nowhere are left out."""

    name: ClassVar[str] = "f1"
    title: ClassVar[str] = "macro F1"
    wants: ClassVar[Wants] = "class"

    def weighted(self, record: NDArray[Any], labels: NDArray[Any] | None) -> Weighted:
        """The value as a function of the samples' weights."""
        _, codes = np.unique(np.concatenate([_needed(labels, self), record]), return_inverse=True)
        truth, guess = np.split(codes.ravel(), 2)
        count, right = int(codes.max()) + 1, truth == guess
        hits = truth[right]

        def f1(w: NDArray[np.float64]) -> float:
            both = np.bincount(truth, w, count) + np.bincount(guess, w, count)
            there = both > 0
            return float((2 * np.bincount(hits, w[right], count)[there] / both[there]).mean())

        return f1

    def difference(self, before: NDArray[Any], after: NDArray[Any], labels: NDArray[Any] | None) -> Interval:
        """The paired difference: bootstrapped, and no narrower than that of the right and wrong answers.

        Resampling alone is sure of itself where hardly any pair differs; Newcombe's interval is not.
        """
        drawn = super().difference(before, after, labels)
        pairs = paired_proportions(before == labels, after == labels)
        low = min(drawn.low, drawn.value - (pairs.value - pairs.low))
        return Interval(drawn.value, low, max(drawn.high, drawn.value + (pairs.high - pairs.value)), drawn.n)


@dataclass(frozen=True)
class Auc(Metric):
    """Area under the ROC curve: binary, or the mean over classes of one against the rest. Ties count half.

    The area is the Mann-Whitney statistic (Hanley and McNeil, Radiology 143, 1982). ``record`` is (n,) for two classes
    and (n, K) otherwise; labels are classes (n,), or 0 and 1 in each column (n, K).
    """

    name: ClassVar[str] = "auc"
    title: ClassVar[str] = "ROC AUC"
    wants: ClassVar[Wants] = "scores"

    def weighted(self, record: NDArray[Any], labels: NDArray[Any] | None) -> Weighted:
        """The value as a function of the samples' weights."""
        truth = _needed(labels, self)
        if record.ndim == 1:
            areas = [_area(record, truth == truth.max())]
        else:
            columns = [truth[:, k] > 0 if truth.ndim == 2 else truth == k for k in range(record.shape[1])]
            areas = [_area(record[:, k], c) for k, c in enumerate(columns) if 0 < c.sum() < c.size]
        if not areas:
            raise InputError("AUC needs samples of at least two classes in every split; give more samples")

        def auc(w: NDArray[np.float64]) -> float:
            found = [a for area in areas if (a := area(w)) is not None]
            return float(np.mean(found)) if found else 0.5

        return auc

    def _draws(self, record: NDArray[Any]) -> int:
        return self.draws if record.ndim == 1 else max(self.draws // record.shape[1], 200)


@dataclass(frozen=True)
class _Numbers(Metric):
    """Metrics of numbers. What is kept of a sample, for each of k columns: squared error, label, label squared.

    Answers that are no numbers (NaN, infinity) count as wrong by the whole range of the labels.
    """

    wants: ClassVar[Wants] = "numbers"

    def record(self, answers: NDArray[Any], labels: NDArray[Any] | None) -> NDArray[Any]:
        """(n, 3, k): squared error, label, label squared."""
        y = _needed(labels, self).astype(np.float64).reshape(len(answers), -1)
        error = answers.astype(np.float64).reshape(len(answers), -1) - y
        return np.stack([np.where(np.isfinite(error), error, np.nan) ** 2, y, y * y], axis=1)

    @staticmethod
    def _error(record: NDArray[Any]) -> NDArray[np.float64]:
        """Squared errors (n, k)."""
        error: NDArray[np.float64] = record[:, 0]
        lost = np.isnan(error)
        return np.where(lost, np.ptp(record[:, 1]) ** 2, error) if lost.any() else error


@dataclass(frozen=True)
class Rmse(_Numbers):
    """Root of the mean squared error, in the labels' unit; lower is better."""

    name: ClassVar[str] = "rmse"
    title: ClassVar[str] = "RMSE"
    unit: ClassVar[str] = "label units"
    scale: ClassVar[float] = 1.0
    higher_is_better: ClassVar[bool] = False

    def weighted(self, record: NDArray[Any], labels: NDArray[Any] | None) -> Weighted:
        """The value as a function of the samples' weights."""
        error = self._error(record).mean(axis=1)
        return lambda w: float(np.sqrt(w @ error / w.sum()))


@dataclass(frozen=True)
class R2(_Numbers):
    """Share of the labels' variance that the answers explain, the mean over columns as scikit-learn takes it."""

    name: ClassVar[str] = "r2"
    title: ClassVar[str] = "R2"

    def weighted(self, record: NDArray[Any], labels: NDArray[Any] | None) -> Weighted:
        """The value as a function of the samples' weights."""
        error = self._error(record)
        y = record[:, 1] - record[:, 1].mean(axis=0)  # centred, so that the variance does not cancel

        def r2(w: NDArray[np.float64]) -> float:
            total = w.sum()
            variance = w @ (y * y) / total - (w @ y / total) ** 2
            there = variance > 0
            return float((1 - (w @ error / total)[there] / variance[there]).mean()) if there.any() else 0.0

        return r2


@dataclass(frozen=True)
class Fidelity(R2):
    """R2 with the original's answers for labels: 100 points when nothing changed."""

    name: ClassVar[str] = "fidelity"
    title: ClassVar[str] = "fidelity to the original"
    against_original: ClassVar[bool] = True


@dataclass(frozen=True)
class Own(Metric):
    """The user's function of (outputs by name, labels): a score a sample (n,), or one number for all of them.

    Higher is better and 1 is perfect. A number for all is bootstrapped by calling the function again, so a score a
    sample is the quicker way. Naming the function runs the user's code.
    """

    function: str = ""
    name: ClassVar[str] = "own"
    title: ClassVar[str] = "the user's own metric"
    wants: ClassVar[Wants] = "outputs"
    draws: ClassVar[int] = 100

    def named(self) -> str:
        """``module:function``."""
        return self.function

    def code(self) -> str:
        """The digest of the module's source. What it imports is not looked at: change the file when that changes."""
        from edgewright.datasets.code import source_digest

        return source_digest(self.function)

    def difference(self, before: NDArray[Any], after: NDArray[Any], labels: NDArray[Any] | None) -> Interval:
        """The paired difference, and not without width where the answers differ but no sample's score does.

        What happens to none of n samples happens, at 97.5%, to no more than a share of 1 - 0.025^(1/n) (Clopper and
        Pearson, Biometrika 26, 1934).
        """
        found = super().difference(before, after, labels)
        if found.low < found.high or np.array_equal(before, after):
            return found
        unseen = 1 - 0.025 ** (1 / found.n)
        return Interval(found.value, found.value - unseen, found.value + unseen, found.n)

    def weighted(self, record: NDArray[Any], labels: NDArray[Any] | None) -> Weighted:
        """The value as a function of the samples' weights."""
        from edgewright.datasets.code import import_code

        function, outputs = import_code(self.function), record
        named = outputs.dtype.names or ()

        def call(rows: NDArray[np.intp]) -> NDArray[np.float64]:
            given = {name: outputs[name][rows] for name in named}
            try:
                scores = np.asarray(function(given, None if labels is None else labels[rows]), np.float64)
            except (Exception, SystemExit) as error:  # the user's function may raise anything
                raise InputError(f"{self.function} failed: {type(error).__name__}: {error}"[:300]) from error
            fits = scores.shape in ((), (1,), (rows.size,)) and bool(np.isfinite(scores).all())
            if not fits or scores.max() > 1 + 1e-9 or scores.min() < _LEAST_SCORE:
                raise InputError(
                    f"{self.function} must return one finite number of at most 1, or one a sample; it returned shape "
                    f"{list(scores.shape)} from {float(np.min(scores, initial=0)):.4g} to "
                    f"{float(np.max(scores, initial=0)):.4g}"
                )
            return scores

        scores = call(np.arange(len(outputs)))
        if scores.shape == (len(outputs),) and len(outputs) > 1:
            return lambda w: float(w @ scores / w.sum())
        return lambda w: float(call(np.repeat(np.arange(len(outputs)), w.astype(np.intp))).ravel()[0])


_LEAST_SCORE = -1e9
"""Below this a user's score is a mistake, and its points would not be numbers any more."""

METRICS = Table(
    "metric",
    "metrics",
    {
        "top1": "edgewright.measurement.metrics:Top1",
        "f1": "edgewright.measurement.metrics:F1",
        "auc": "edgewright.measurement.metrics:Auc",
        "rmse": "edgewright.measurement.metrics:Rmse",
        "r2": "edgewright.measurement.metrics:R2",
        "agreement": "edgewright.measurement.metrics:Agreement",
        "fidelity": "edgewright.measurement.metrics:Fidelity",
    },
)


def metric(name: str) -> Metric:
    """The metric of that name, or the user's own as ``module:function``. Raises InputError for an unknown one."""
    if name not in METRICS and ":" in name:
        return Own(name)
    found: Metric = METRICS[name]()
    return found


def _needed(labels: NDArray[Any] | None, metric: Metric) -> NDArray[Any]:
    if labels is None:
        raise InputError(f"{metric.title} needs labels; add an array named 'labels', or use agreement or fidelity")
    return labels


def _area(scores: NDArray[Any], positive: NDArray[np.bool_]) -> Callable[[NDArray[np.float64]], float | None]:
    """The weighted Mann-Whitney statistic of one class, sorted once; None where a draw lacks one of the two sides."""
    order = np.argsort(scores, kind="stable")
    ordered = scores[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
    sign = positive[order].astype(np.float64)

    def area(w: NDArray[np.float64]) -> float | None:
        drawn = w[order]
        above = np.add.reduceat(drawn * sign, starts)
        below = np.add.reduceat(drawn * (1 - sign), starts)
        pairs = above.sum() * below.sum()
        return float(above @ (np.cumsum(below) - below / 2) / pairs) if pairs > 0 else None

    return area


def _bootstrap(function: Weighted, n: int, draws: int, confidence: float = 0.95) -> Interval:
    """``function`` at equal weights, with the percentile interval of seeded resamples (Efron, 1979)."""
    value = function(np.ones(n))
    rng = np.random.default_rng(0)
    seen = [function(np.bincount(rng.integers(0, n, n), minlength=n).astype(np.float64)) for _ in range(draws)]
    low, high = np.quantile(seen, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(value, min(float(low), value), max(float(high), value), n)
