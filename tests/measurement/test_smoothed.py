"""The smoothed drop: the same figure as the count on average, with less noise."""

from dataclasses import replace

import numpy as np
import pytest

from edgewright.measurement.accuracy import Evaluation
from edgewright.measurement.answers import Choice
from edgewright.measurement.metrics import metric
from edgewright.measurement.smoothed import smoothed_drop


def evaluation(scores, labels, name="top1"):
    choice = Choice(metric(name), "y", "scores", "")
    kept = {"y": scores.astype(np.float32)}
    classes = scores.argmax(axis=1)
    return Evaluation(choice, "test", "d", labels, classes, classes, kept, np.zeros(len(scores), bool), 1, None)


def drawn(seed, n, noise):
    """Scores of a good classifier and of the same with noise on them."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 4, n)
    scores = rng.standard_normal((n, 4))
    scores[np.arange(n), labels] += 3.0
    return scores, scores + noise * rng.standard_normal((n, 4)), labels


def test_equal_answers_lose_nothing():
    scores, _, labels = drawn(0, 50, 0)
    assert smoothed_drop(evaluation(scores, labels), evaluation(scores, labels)) == 0


def test_it_agrees_with_the_count_on_many_samples_and_varies_less_on_few():
    counts, smooth = [], []
    for seed in range(200):
        before, after, labels = drawn(seed, 100, 1.0)
        counts.append(100 * (np.mean(before.argmax(1) == labels) - np.mean(after.argmax(1) == labels)))
        smooth.append(smoothed_drop(evaluation(before, labels), evaluation(after, labels)))
    assert np.mean(smooth) == pytest.approx(np.mean(counts), abs=1.0)
    assert np.std(smooth) < np.std(counts)


def test_without_labels_the_original_is_what_to_agree_with():
    before, after, _ = drawn(1, 400, 2.0)
    found = smoothed_drop(evaluation(before, None, "agreement"), evaluation(after, None, "agreement"))
    assert found is not None and found > 0


@pytest.mark.parametrize("change", ["numbers", "nan", "shape"])
def test_what_it_does_not_fit_gives_none(change):
    before, after, labels = drawn(0, 20, 1.0)
    first, second = evaluation(before, labels), evaluation(after, labels)
    if change == "numbers":
        first = replace(first, choice=Choice(metric("rmse"), "y", "numbers", ""))
    elif change == "nan":
        second.kept["y"][0, 0] = np.nan
    else:
        second = replace(second, kept={"y": after[:10].astype(np.float32)})
    assert smoothed_drop(first, second) is None
