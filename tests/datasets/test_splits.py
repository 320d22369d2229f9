"""Splits: disjoint, stratified, blind to the order of the file, and honest about what they cannot do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgewright.core.model import Signature
from edgewright.datasets import Splits, dataset
from edgewright.datasets.splits import CAPS, allocate, shares

Make = Callable[..., Signature]


def _splits(signature: Make, x: np.ndarray[Any, Any], labels: Any = None, **options: Any) -> Splits:
    source = {"x": x.astype(np.float32)} | ({} if labels is None else {"labels": labels})
    return dataset(source, **options).bind(signature(x=("float32", (None, x.shape[1])))).splits()


def _fingerprints(ids: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    made = np.zeros((ids.size, 16), np.uint8)
    made[:, :8] = ids.astype(np.uint64)[:, None].view(np.uint8).reshape(-1, 8)
    return made


@settings(max_examples=40, deadline=None)
@given(st.integers(16, 400), st.integers(1, 12), st.integers(0, 5), st.integers(0, 2**31))
def test_every_row_falls_once_and_every_class_in_proportion(n: int, classes: int, twins: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    ids = np.r_[np.arange(n - min(twins, n - 1)), np.zeros(min(twins, n - 1), int)]
    strata = rng.integers(0, classes, n)
    _, first, group = np.unique(ids, return_index=True, return_inverse=True)
    made = allocate(_fingerprints(ids), group, first, strata, seed)
    rows = np.concatenate(list(made.values()))
    assert sorted(rows.tolist()) == list(range(n))
    assert len({name for name, part in made.items() if 0 in ids[part]}) == 1, "twins stay together"
    for name, share in shares(n).items():
        assert abs(len(made[name]) - share * n) <= 3 + twins
        for k in range(classes):
            assert abs((strata[made[name]] == k).sum() - share * (strata == k).sum()) <= 4 + twins


@pytest.mark.parametrize("n", [16, 100, 1000, 2000, 10_000, 100_000])
def test_shares_are_capped_and_the_test_has_a_third_until_then(n: int) -> None:
    taken = {name: share * n for name, share in shares(n).items()}
    assert all(taken[name] <= CAPS[name] + 1e-6 for name in taken)
    assert taken["test"] >= min(n / 3, CAPS["test"]) - 1e-6
    assert sum(taken.values()) <= n + 1e-6


def test_the_order_of_the_file_does_not_matter(signature: Make) -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(300, 5)), rng.integers(0, 4, 300)
    shuffled = rng.permutation(300)
    one, other = _splits(signature, x, y), _splits(signature, x[shuffled], y[shuffled])
    for name in ("calibration", "search", "test"):
        assert getattr(one, name).digest == getattr(other, name).digest
        assert (x[getattr(one, name).rows] == x[shuffled][getattr(other, name).rows]).all()


def test_the_digest_covers_content_labels_and_rows(signature: Make) -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(60, 5)), rng.integers(0, 2, 60)
    base = _splits(signature, x, y).test
    moved = x.copy()
    moved[base.rows[0], 0] += 1
    relabelled = y.copy()
    relabelled[base.rows[0]] ^= 1
    found = {
        base.digest,
        base.head(10).digest,
        _splits(signature, moved, y).test.digest,
        _splits(signature, x, relabelled).test.digest,
        _splits(signature, x, y, seed=1).test.digest,
        _splits(signature, x).test.digest,
    }
    assert len(found) == 6


def test_any_beginning_of_a_split_is_stratified(signature: Make) -> None:
    y = np.repeat([0, 1, 2, 3], [600, 200, 100, 100])
    test = _splits(signature, np.random.default_rng(0).normal(size=(1000, 3)), y).test
    for count in (20, 50, 100, 200):
        labels = test.head(count).labels
        assert labels is not None
        assert np.abs(np.bincount(labels, minlength=4) - count * np.array([0.6, 0.2, 0.1, 0.1])).max() <= 2


def test_small_and_odd_data_are_used_with_a_note(signature: Make) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(40, 3))
    table = [
        (x, np.arange(40), "most labels occur once"),
        (x, np.r_[[7], np.zeros(20, int), np.ones(19, int)], None),
        (np.r_[x, x[:5]], np.r_[np.arange(40) % 2, np.arange(5) % 2], "5 samples repeat others exactly"),
        (np.r_[x, x[:5]], np.r_[np.arange(40) % 2, 1 - np.arange(5) % 2], "5 samples occur with different labels"),
        (x, None, "the test split has only 16 samples: one answer is 6.2 points"),
        (rng.normal(size=(15_000, 2)), None, "samples are beyond what the splits take"),
        (x, np.r_[np.arange(20), np.zeros(20, int)], "label values have no sample in the test split"),
    ]
    for data, labels, note in table:
        splits = _splits(signature, data, labels)
        assert note is None or any(note in n for n in splits.notes), (note, splits.notes)
        assert splits.to_json()["notes"] == list(splits.notes)


def test_sixteen_samples_are_enough_for_three_splits(signature: Make) -> None:
    splits = _splits(signature, np.random.default_rng(0).normal(size=(16, 3)), np.arange(16) % 2)
    assert [len(s) for s in (splits.calibration, splits.search, splits.test)] == [5, 5, 6]


def test_splits_do_not_change_between_releases(signature: Make) -> None:
    """A report is reproduced from content and seed, so the rule that makes splits is part of the format."""
    x = np.arange(48, dtype=np.float32).reshape(24, 2)
    splits = _splits(signature, x, np.arange(24) % 2)
    assert splits.calibration.rows.tolist() == [2, 15, 18, 1, 10, 5, 6]
    assert splits.test.rows.tolist() == [8, 23, 17, 12, 7, 22, 13, 14, 0, 21]
    assert splits.test.digest == "f52f8d6a83e7bc74a72dd60586259e294d5a264f7416946435a89fd4cb33d200"
