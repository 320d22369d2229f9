"""Accuracy: a model's answers on a split, and what a candidate lost against the original on the very same samples.

``evaluate`` the original once (it chooses and explains the metric), every candidate by the original's choice, and
``compare`` the two: a paired interval of the drop, the worst class, agreement and signal-to-noise.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgewright.core.errors import InputError
from edgewright.core.measurement import Measurement
from edgewright.core.samples import Samples
from edgewright.core.session import Session
from edgewright.core.statistics import Interval, paired_proportions, wilson
from edgewright.measurement.answers import Choice, choose
from edgewright.measurement.feeding import Feed
from edgewright.measurement.gathering import Gathered

SQNR_CEILING_DB = 200.0
_SINGLE = ("baseline", "candidate", "drop", "worst_class", "agreement", "sqnr_db")
FEWEST_OF_A_CLASS = 10
"""Samples a class should have before its drop may be called the worst (fewer count when no class has as many)."""


@dataclass(frozen=True, eq=False)
class Evaluation:
    """A model's answers on one split, kept compactly.

    ``record`` is what the metric keeps of every sample, ``predictions`` (n,) the class answered (-1: none, NaN) where
    answers are classes, ``kept`` the outputs of the first samples. ``value`` is None for a metric that needs the
    original's answers. ``lost`` (n,) marks answers that are NaN or infinite. ``batch``: how many samples at a time.
    """

    choice: Choice
    split: str
    data: str
    labels: NDArray[Any] | None
    record: NDArray[Any]
    predictions: NDArray[np.int64] | None
    kept: Mapping[str, NDArray[Any]]
    lost: NDArray[np.bool_]
    batch: int
    value: Measurement | None
    subject: str = ""
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.lost)

    def per_class(self) -> dict[str, Measurement]:
        """Accuracy of each class in points, by the class's name. Empty when answers or labels are no classes."""
        if self.predictions is None or self.labels is None or self.labels.ndim != 1:
            return {}
        made: dict[str, Measurement] = {}
        for label in np.unique(self.labels):
            right = self.predictions[self.labels == label] == label
            found = wilson(int(right.sum()), right.size)
            made[self.choice.named(int(label))] = _measurement(found, 100.0, "points", {}, self.subject)
        return made


@dataclass(frozen=True)
class ClassDrop:
    """One class before and after, in points; ``low`` and ``high`` hold for all classes together (Bonferroni)."""

    name: str
    n: int
    before: float
    after: float
    drop: float
    low: float
    high: float


@dataclass(frozen=True)
class AccuracyResult:
    """A candidate against the original on one split. ``drop`` > 0 means worse, in the metric's unit.

    ``agreement`` (points) and ``sqnr_db`` compare with the original's answers whatever the metric; None where they do
    not apply. ``flags`` name what makes the figures doubtful, NaN among the answers above all.
    """

    choice: Choice
    split: str
    baseline: Measurement
    candidate: Measurement
    drop: Measurement
    worst_class: Measurement | None = None
    per_class: tuple[ClassDrop, ...] = ()
    agreement: Measurement | None = None
    sqnr_db: Measurement | None = None
    flags: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """A JSON value for the report."""
        return {
            **self.choice.to_json(),
            "split": self.split,
            **{name: m.to_json() if (m := getattr(self, name)) is not None else None for name in _SINGLE},
            "per_class": [dict(vars(entry)) for entry in self.per_class],
            "flags": list(self.flags),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> AccuracyResult:
        """What ``to_json`` wrote."""
        single = {n: Measurement.from_json(value[n]) if value[n] else None for n in _SINGLE}
        classes = tuple(ClassDrop(**entry) for entry in value["per_class"])
        return cls(
            choice=Choice.from_json(value), split=value["split"], per_class=classes, flags=tuple(value["flags"]),
            **single,  # type: ignore[arg-type]
        )  # fmt: skip


def evaluate(
    session: Session, samples: Samples, metric: str | Choice | None = None, batch_size: int = 64,
    *, output: str | None = None, subject: str = "", checkpoint: Callable[[], None] = lambda: None,
) -> Evaluation:  # fmt: skip
    """The answers of an open model on ``samples``, judged.

    ``metric``: a name, ``module:function`` or None (chosen from labels and outputs) for the original model; for
    everything made from it, the original's ``Evaluation.choice``. ``output`` names the output to judge, ``subject`` is
    the model's digest, ``checkpoint`` is called between batches. A model with a fixed batch is fed as it wants; one
    with a free batch gets ``batch_size`` samples at a time, or one by one when more would change its answers. Raises
    InputError when the data do not suit the model or the metric, and when the original itself answers NaN;
    EngineError when it does not run.
    """
    if len(samples) == 0:
        raise InputError(f"the {samples.name} split has no samples to judge the model by")
    labels, classes = samples.labels, tuple(getattr(samples, "classes", ()))
    original = not isinstance(metric, Choice)
    choice = metric if isinstance(metric, Choice) else None
    feed, gathered = Feed(session, batch_size), Gathered(len(samples))
    for outputs in feed.run(samples):
        if choice is None:
            choice = choose(metric if isinstance(metric, str) else None, outputs, labels, classes, output)
        if choice.output not in outputs:
            raise InputError(f"the model has no output {choice.output!r} to be judged by; it has: {', '.join(outputs)}")
        gathered.add(outputs, choice, labels)
        checkpoint()
    if choice is None or gathered.count != len(samples):
        raise InputError(f"the {samples.name} split gave {gathered.count} of its {len(samples)} samples")
    choice = gathered.settle(choice, labels, original=original)
    if original and gathered.bad.any():
        raise InputError(_no_answers("model itself", gathered.bad, samples.name))
    value = None
    if not choice.metric.against_original:
        conditions = {"metric": choice.metric.name, "output": choice.output, "split": samples.name}
        conditions["data"] = samples.digest
        found = choice.metric.value(gathered.record, labels)
        value = _measurement(found, choice.metric.scale, choice.metric.unit, conditions, subject)
    return Evaluation(
        choice, samples.name, samples.digest, labels, gathered.record, gathered.predictions, gathered.kept,
        gathered.bad, feed.batch, value, subject, tuple(feed.notes),
    )  # fmt: skip


def compare(baseline: Evaluation, candidate: Evaluation) -> AccuracyResult:
    """What the candidate lost against the original, sample by sample. Both must come from the same split."""
    if (baseline.data, len(baseline)) != (candidate.data, len(candidate)):
        raise InputError("the two models were judged on different samples; evaluate both on one split")
    if baseline.choice != candidate.choice:
        raise InputError("the two models were judged by different rules; pass the original's choice to the candidate")
    if baseline.lost.any():
        raise InputError(_no_answers("original", baseline.lost, baseline.split))
    choice, judged = baseline.choice, baseline.choice.metric
    labels = baseline.labels
    before, after = baseline.record, candidate.record
    if judged.against_original:
        labels = before
        if judged.wants == "numbers":
            before, after = judged.record(before, labels), judged.record(after, labels)
    conditions = {"metric": judged.name, "output": choice.output, "split": baseline.split, "data": baseline.data}
    moved = judged.difference(before, after, labels)
    sign = -judged.scale if judged.higher_is_better else judged.scale
    lost = int(candidate.lost.sum())
    flags = [f"{lost} of {len(candidate)} answers are NaN or infinite; they count as wrong"] if lost else []
    classes = _class_drops(baseline, candidate)
    agreement = _agreement(baseline, candidate)
    sqnr = sqnr_db(baseline.kept, candidate.kept)
    if sqnr is None and baseline.kept:
        flags.append("no signal-to-noise ratio: the candidate's outputs have another shape or are not finite")
    rows = min((len(a) for a in baseline.kept.values()), default=0)

    def measured(interval: Interval, scale: float, unit: str = judged.unit, **more: Any) -> Measurement:
        return _measurement(interval, scale, unit, {**conditions, **more}, candidate.subject)

    itself = Interval(1.0, 1.0, 1.0, len(before))  # a model agrees with itself
    return AccuracyResult(
        choice,
        baseline.split,
        baseline.value or _measurement(itself, judged.scale, judged.unit, conditions, baseline.subject),
        candidate.value or measured(judged.value(after, labels), judged.scale),
        measured(moved, sign, paired=True),
        _worst(classes, conditions, candidate.subject),
        classes,
        None if agreement is None else measured(agreement, 100.0, "points", metric="agreement"),
        None if sqnr is None else measured(Interval(sqnr, sqnr, sqnr, rows), 1.0, "dB", metric="sqnr"),
        tuple(flags),
    )


def sqnr_db(before: Mapping[str, NDArray[Any]], after: Mapping[str, NDArray[Any]]) -> float | None:
    """Signal over noise of the worst output of floats, in dB, at most 200; None when there is none to compare."""
    worst = SQNR_CEILING_DB
    before = {name: x for name, x in before.items() if x.dtype.kind == "f"}  # a class's number is no signal
    for name, x in before.items():
        y = after.get(name)
        if y is None or x.shape != y.shape:
            return None
        finite = np.isfinite(x)
        signal, noise = x[finite].astype(np.float64), y[finite].astype(np.float64)
        if not np.isfinite(noise).all():
            return None
        error = float(np.sum((signal - noise) ** 2))
        if error > 0:
            worst = min(worst, 10 * float(np.log10(max(float(signal @ signal), 1e-30) / error)))
    return worst if before else None


def _no_answers(who: str, lost: NDArray[np.bool_], split: str) -> str:
    return (
        f"the {who} answers NaN or infinity for {int(lost.sum())} of {len(lost)} samples of the {split} split "
        f"(first: {int(np.argmax(lost))}); mend the model or the data first"
    )


def _class_drops(baseline: Evaluation, candidate: Evaluation) -> tuple[ClassDrop, ...]:
    before, after = baseline.predictions, candidate.predictions
    truth = baseline.labels if baseline.labels is not None and not baseline.choice.metric.against_original else before
    if before is None or after is None or truth is None or truth.ndim != 1:
        return ()
    found = np.unique(truth)
    return tuple(
        _class_drop(baseline.choice.named(int(label)), before[truth == label] == label, after[truth == label] == label,
                    1 - 0.05 / found.size)
        for label in found
    )  # fmt: skip


def _class_drop(name: str, before: NDArray[np.bool_], after: NDArray[np.bool_], confidence: float) -> ClassDrop:
    moved = paired_proportions(before, after, confidence)
    first, second = 100 * float(before.mean()), 100 * float(after.mean())
    return ClassDrop(
        name, before.size, first, second, 0.0 - 100 * moved.value, 0.0 - 100 * moved.high, 0.0 - 100 * moved.low
    )


def _worst(classes: tuple[ClassDrop, ...], conditions: Mapping[str, Any], subject: str) -> Measurement | None:
    enough = [c for c in classes if c.n >= FEWEST_OF_A_CLASS] or list(classes)
    if len(classes) < 2:
        return None
    worst = max(enough, key=lambda c: (c.drop, c.n))
    more = {"metric": "top1", "class": worst.name, "before": worst.before, "after": worst.after, "paired": True}
    more["interval"] = f"95% for all {len(classes)} classes together (Bonferroni)"
    return Measurement(
        worst.drop, "points", "measured", worst.n, worst.low, worst.high, {**conditions, **more}, subject=subject
    )


def _agreement(baseline: Evaluation, candidate: Evaluation) -> Interval | None:
    if baseline.predictions is None or candidate.predictions is None:
        return None
    return wilson(int((baseline.predictions == candidate.predictions).sum()), len(baseline))


def _measurement(found: Interval, scale: float, unit: str, conditions: Mapping[str, Any], subject: str) -> Measurement:
    # Adding zero turns -0.0, which a scale of -100 makes of no difference, into 0.0.
    low, high = sorted((scale * found.low + 0.0, scale * found.high + 0.0))
    return Measurement(
        scale * found.value + 0.0, unit, "measured", found.n, low, high, conditions=conditions, subject=subject
    )


__all__ = ["AccuracyResult", "Choice", "ClassDrop", "Evaluation", "compare", "evaluate", "sqnr_db"]
