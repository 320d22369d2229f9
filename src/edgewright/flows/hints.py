"""Hints: what a result's figures suggest about the data they were measured on, in words."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from edgewright.core.candidate import Candidate
from edgewright.measurement.accuracy import AccuracyResult

_WORTH = 0.1
"""A score better by so much is worth telling: a tenth off one figure."""


def guesses(base: Candidate, accuracy: AccuracyResult | None) -> str:
    """Where the original names classes no better than by chance (then the labels are not those it was trained on), or
    than by always naming the commonest one; "" where it does."""
    found = base.metrics.get("accuracy")
    if found is None or accuracy is None or found.conditions.get("metric") != "top1" or len(accuracy.per_class) < 2:
        return ""
    classes = len(accuracy.per_class)
    if found.value > 100 / classes:
        counts = [one.n for one in accuracy.per_class]
        commonest = 100 * max(counts) / max(sum(counts), found.n)  # classes with few samples have no count
        if found.value > commonest:
            return ""
        return (
            f"the original is right on {found.value:.3g}% of the samples; always naming the commonest class would be "
            f"on {commonest:.3g}%: what is kept of its accuracy is worth little"
        )
    return (
        f"the original is right on {found.value:.3g}% of the samples, no more than chance with {classes} classes: see "
        "that the labels are numbered as the model's outputs are (names count in alphabetical order)"
    )


def doubted(best: Candidate, finals: Sequence[Candidate], score: Callable[[Candidate], float]) -> str:
    """Why a better one was left out for a doubt that more samples would settle; "" where none was."""
    better = [c for c in finals if c.feasible and c.doubts and score(c) < score(best) - _WORTH]
    if best.doubts or not better:
        return ""
    first = min(better, key=score)
    return f"candidate {first.id} is better in what counts and was left out: {first.doubts[0]}"
