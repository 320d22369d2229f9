"""Held out: an evaluation on the test split, as the evidence that a fleet's gates need of a bundle."""

from __future__ import annotations

from edgewright.bundles import HeldOut, held_out
from edgewright.core.answers import Rule
from edgewright.measurement.accuracy import Evaluation
from edgewright.measurement.answers import Choice


def held_out_of(found: Evaluation) -> HeldOut | None:
    """Of the samples whose outputs were kept; None where answers are no scores of classes, samples have no labels that
    say which is right, or there are too few."""
    choice, labels = found.choice, found.labels
    rule, scores = rule_of(choice), found.kept.get(choice.output)
    if rule is None or scores is None or labels is None or labels.ndim != 1 or choice.metric.against_original:
        return None
    try:
        return held_out(rule, scores, labels[: len(scores)], found.data)
    except ValueError:  # shares below zero, of a model that was sealed all the same
        return None


def rule_of(choice: Choice) -> Rule | None:
    """How a device reads what the search judged; None where it judged no classes by scores."""
    if choice.metric.wants not in ("class", "scores") or choice.form not in ("scores", "single"):
        return None
    if choice.form == "scores":
        return Rule(shares="as_is" if choice.probabilities else "softmax")
    return Rule(True, "sigmoid" if choice.threshold == 0 else "as_is", choice.threshold, choice.pair)
