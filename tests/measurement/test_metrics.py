"""Metrics against scikit-learn, and intervals that cover what they should."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as reference

from edgewright.core.errors import InputError
from edgewright.measurement.metrics import F1, METRICS, R2, Auc, Rmse, Top1, metric

RNG = np.random.default_rng(0)


def _value(name: str, answers: Any, labels: Any) -> float:
    judged = metric(name)
    return judged.weighted(judged.record(np.asarray(answers), labels), labels)(np.ones(len(answers)))


@settings(max_examples=50, deadline=None)
@given(st.integers(2, 6), st.integers(5, 80), st.integers(0, 10_000), st.booleans())
def test_values_are_scikit_learns(classes: int, n: int, seed: int, ties: bool) -> None:
    rng = np.random.default_rng(seed)
    labels = np.r_[np.arange(classes), rng.integers(0, classes, n)]
    guess = np.where(rng.random(labels.size) < 0.6, labels, rng.integers(0, classes, labels.size))
    assert _value("top1", guess, labels) == pytest.approx(reference.accuracy_score(labels, guess))
    assert _value("f1", guess, labels) == pytest.approx(reference.f1_score(labels, guess, average="macro"))
    scores = rng.random((labels.size, classes)).round(1 if ties else 9) + 0.01
    scores /= scores.sum(axis=1, keepdims=True)
    if classes == 2:
        assert _value("auc", scores[:, 1], labels) == pytest.approx(reference.roc_auc_score(labels, scores[:, 1]))
    else:
        expected = reference.roc_auc_score(labels, scores, multi_class="ovr")
        assert _value("auc", scores, labels) == pytest.approx(expected)
    y = rng.normal(1000, 1, (labels.size, 3))
    x = y + rng.normal(0, 0.5, y.shape)
    assert _value("r2", x, y) == pytest.approx(reference.r2_score(y, x))
    assert _value("rmse", x, y) == pytest.approx(np.sqrt(((x - y) ** 2).mean()))
    assert _value("fidelity", x[:, 0], y[:, 0]) == pytest.approx(reference.r2_score(y[:, 0], x[:, 0]))


def test_several_yes_or_no_columns_have_the_mean_area() -> None:
    labels = (RNG.random((80, 4)) < 0.3).astype(int)
    scores = RNG.random((80, 4)) + labels / 2
    assert _value("auc", scores, labels) == pytest.approx(reference.roc_auc_score(labels, scores))


def test_a_class_that_is_not_in_the_split_is_left_out_of_the_area() -> None:
    labels = RNG.integers(0, 3, 60)
    scores = RNG.random((60, 5))
    expected = np.mean([reference.roc_auc_score(labels == k, scores[:, k]) for k in range(3)])
    assert _value("auc", scores, labels) == pytest.approx(expected)
    with pytest.raises(InputError, match="at least two classes"):
        _value("auc", scores, np.full(60, 4))


@pytest.mark.parametrize("judged", [Top1(), F1()])
def test_equal_answers_differ_by_nothing_but_not_for_certain(judged: Top1 | F1) -> None:
    labels = RNG.integers(0, 4, 200)
    guess = np.where(RNG.random(200) < 0.9, labels, 0)
    found = judged.difference(guess, guess, labels)
    assert found.value == 0 and found.low < 0 < found.high and found.high - found.low < 0.05


@pytest.mark.parametrize("judged", [Auc(), R2(), Rmse()])
def test_equal_numbers_differ_by_nothing(judged: Auc | R2 | Rmse) -> None:
    labels = RNG.integers(0, 2, 200).astype(float)
    record = judged.record(labels + RNG.normal(size=200), labels)
    found = judged.difference(record, record, labels)
    assert (found.low, found.value, found.high) == (0, 0, 0)


@pytest.mark.parametrize("name", ["f1", "auc", "r2", "rmse"])
def test_intervals_of_a_difference_cover_it(name: str) -> None:
    """Draw test splits from a population whose difference is known; at least 85 of 100 95% intervals hold it."""
    rng, judged = np.random.default_rng(5), metric(name)
    size = 20_000
    labels = rng.integers(0, 2, size) if name in ("f1", "auc") else rng.normal(size=size)
    noisy = labels + rng.normal(0, 0.6, size)
    worse = noisy + rng.normal(0, 0.35, size)
    if name == "f1":
        noisy, worse = (noisy > 0.5).astype(int), (worse > 0.5).astype(int)

    def difference(rows: Any) -> Any:
        parts = [judged.record(a[rows], labels[rows]) for a in (noisy, worse)]
        return parts, labels[rows]

    (before, after), truth = difference(np.arange(size))
    ones = np.ones(size)
    known = judged.weighted(after, truth)(ones) - judged.weighted(before, truth)(ones)
    assert known != 0
    held = 0
    for _ in range(40):
        (before, after), truth = difference(rng.integers(0, size, 150))
        found = judged.difference(before, after, truth)
        assert found.low <= found.value <= found.high
        held += found.low <= known <= found.high
    assert held >= 34


def test_results_do_not_depend_on_the_run() -> None:
    labels, guess = RNG.integers(0, 3, 100), RNG.integers(0, 3, 100)
    assert F1().difference(labels, guess, labels) == F1().difference(labels, guess, labels)


def test_answers_that_are_no_numbers_are_wrong_by_the_labels_range() -> None:
    y = np.array([0.0, 10.0, 5.0])
    x = np.array([0.0, np.nan, np.inf])
    assert _value("rmse", x, y) == pytest.approx(np.sqrt(200 / 3))


def test_labels_without_variance_explain_nothing() -> None:
    assert _value("r2", np.arange(5.0), np.ones(5)) == 0.0


def _own(folder: Path, name: str, body: str, monkeypatch: pytest.MonkeyPatch) -> str:
    (folder / f"{name}.py").write_text(f"import numpy as np\ndef judge(outputs, labels):\n    {body}\n")
    monkeypatch.chdir(folder)
    return f"{name}:judge"


def _outputs(**arrays: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    size = len(next(iter(arrays.values())))
    made = np.empty(size, np.dtype([(n, a.dtype, a.shape[1:]) for n, a in arrays.items()]))
    for name, array in arrays.items():
        made[name] = array
    return made


@pytest.mark.parametrize("body", ["return outputs['y'] == labels", "return float((outputs['y'] == labels).mean())"])
def test_the_users_own_metric_may_score_each_sample_or_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str
) -> None:
    judged = metric(_own(tmp_path, f"own_{len(body)}", body, monkeypatch))
    labels = RNG.integers(0, 3, 120)
    good, bad = _outputs(y=labels, z=RNG.random((120, 2))), _outputs(y=labels * 0, z=RNG.random((120, 2)))
    assert judged.value(good, labels).value == 1
    found = judged.difference(good, bad, labels)
    assert found.value == pytest.approx((labels == 0).mean() - 1)
    assert found.low < found.value < found.high


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("return 1 / 0", "failed: ZeroDivisionError"),
        ("return 12.0", "at most 1"),
        ("return float('nan')", "one finite number"),
        ("return np.ones(7)", r"returned shape \[7\]"),
    ],
)
def test_the_users_own_metric_may_be_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str, message: str
) -> None:
    judged = metric(_own(tmp_path, f"wrong_{abs(hash(body))}", body, monkeypatch))
    with pytest.raises(InputError, match=message):
        judged.value(_outputs(y=np.zeros(9)), None)


def test_every_metric_of_the_table_says_what_it_is() -> None:
    for name in METRICS:
        judged = metric(name)
        assert judged.name == name and judged.title and judged.unit and judged.named() == name
    with pytest.raises(InputError, match="no metric is named 'accurate'; there are: agreement, auc, f1"):
        metric("accurate")


def test_the_user_s_own_score_is_never_certain_where_answers_differ(tmp_path: Path, monkeypatch: Any) -> None:
    (tmp_path / "scored_here.py").write_text("def all_right(outputs, labels):\n    return outputs['y'][:, 0] * 0 + 1\n")
    monkeypatch.chdir(tmp_path)
    judged = metric("scored_here:all_right")
    before = np.zeros(300, [("y", np.float32, (2,))])
    after = before.copy()
    assert judged.difference(before, after, None).high == 0
    after["y"] += 1
    found = judged.difference(before, after, None)
    assert found.value == 0 and -0.02 < found.low < 0 < found.high < 0.02
    assert len(judged.code()) == 64 and Top1().code() == ""
