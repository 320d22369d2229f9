"""Means: seldom called above what they are, at all looks together; found when they are above. Draws are seeded."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgewright.core.sequential import (
    above,
    bounded_above,
    bounded_below,
    bounded_sequence,
    combined,
    mean_sequence,
    normal_score,
    rejects,
)  # fmt: skip


def estimates(runs, mean, looks=200, own=0.0, seed=0):
    """Running means of normal values with a part of their own that never averages out; and their variances."""
    rng = np.random.default_rng(seed)
    n = np.arange(1, looks + 1)
    drawn = mean + rng.standard_normal((runs, looks))
    return drawn.cumsum(1) / n + own * rng.standard_normal((runs, 1)), own**2 + 1 / n


@pytest.mark.parametrize("own", [0.0, 0.1, 0.3])
@pytest.mark.parametrize("mean", [-0.1, 0.0])
def test_a_mean_of_at_most_zero_is_rejected_within_alpha_over_200_looks(own, mean):
    found, variance = estimates(600, mean, own=own)
    rejected = sum(
        any(above(float(x), float(v), 0.2) >= math.log(20) for x, v in zip(row, variance, strict=True)) for row in found
    )
    assert rejected / 600 <= 0.05


def test_a_mean_above_zero_is_found():
    found, variance = estimates(200, 0.5)
    assert np.mean([above(float(row[-1]), float(variance[-1]), 0.4) >= math.log(1000) for row in found]) >= 0.95


def test_the_sequence_covers_at_all_looks_together():
    found, variance = estimates(500, 0.3, own=0.1)
    missed = 0
    for row in found:
        ends = [mean_sequence(float(x), float(v), 0.1, 0.3) for x, v in zip(row, variance, strict=True)]
        missed += any(not low <= 0.3 <= high for low, high in ends)
    assert missed / 500 <= 0.1


@given(st.floats(-50, 50), st.floats(1e-6, 1e6), st.floats(1e-3, 1e3))
def test_evidence_grows_with_the_estimate_and_agrees_with_the_integral(estimate, variance, scale):
    assert above(estimate, variance, scale) <= above(estimate + 0.1, variance, scale) + 1e-9
    # The mixture by summing over the half-normal, where that is not too narrow for a grid.
    if 0.01 < scale * scale / variance < 100 and abs(estimate) / math.sqrt(variance) < 20:
        theta = (np.arange(20000) + 0.5) / 20000 * scale * 12
        logs = theta * estimate / variance - theta**2 / (2 * variance) - theta**2 / (2 * scale**2)
        top = logs.max()
        prior = math.log(2 / (scale * math.sqrt(2 * math.pi))) + math.log(scale * 12 / 20000)
        assert above(estimate, variance, scale) == pytest.approx(
            top + math.log(np.exp(logs - top).sum()) + prior, abs=1e-3
        )


def test_nothing_known_is_no_evidence():
    assert above(5.0, math.inf, 1.0) == pytest.approx(0)
    assert mean_sequence(5.0, math.inf, 0.1, 1.0) == (-math.inf, math.inf)
    assert above(-1e9, 1.0, 1.0) < -10
    for bad in ((0.0, 0.0, 1.0), (0.0, 1.0, 0.0), (0.0, math.nan, 1.0)):
        with pytest.raises(ValueError, match="above 0"):
            above(*bad)


STUDENT = [(2.776, 4, 1.96), (2.228, 10, 1.96), (4.604, 4, 2.576), (3.169, 10, 2.576), (-2.228, 10, -1.96)]


@pytest.mark.parametrize(("t", "freedom", "z"), STUDENT)
def test_scores_have_the_tails_of_student_tables(t, freedom, z):
    assert normal_score(t, freedom) == pytest.approx(z, abs=0.02)
    assert normal_score(t, math.inf) == t


SHAPES = {
    "coin": lambda rng, n: (rng.random(n) < 0.3).astype(float),
    "beta": lambda rng, n: rng.beta(0.3, 0.7, n),
}


@pytest.mark.parametrize("shape", ["coin", "beta"])
def test_bets_on_bounded_values_are_lost_where_the_mean_is_no_more(shape):
    rng = np.random.default_rng(2)
    rejected = 0
    for _ in range(200):
        x = SHAPES[shape](rng, 200)
        rejected += any(bounded_above(x[:n], 0.3) >= math.log(20) for n in range(5, 201, 5))
    assert rejected / 200 <= 0.05


def test_bets_find_a_mean_that_is_more_and_the_sequence_covers():
    rng = np.random.default_rng(3)
    assert bounded_above(rng.beta(4, 6, 300), 0.3) >= math.log(1000)
    assert bounded_below(rng.beta(4, 6, 300), 0.5) >= math.log(1000)
    missed = 0
    for _ in range(60):
        x = rng.beta(2, 3, 150)
        missed += any(
            not low <= 0.4 <= high for low, high in (bounded_sequence(x[:n], 0.1) for n in (10, 50, 100, 150))
        )
    assert missed / 60 <= 0.1
    low, high = bounded_sequence(rng.beta(2, 3, 2000))
    assert high - low < 0.07
    assert bounded_sequence([]) == (0.0, 1.0) and bounded_above([1.0], 0.0) == math.inf
    with pytest.raises(ValueError, match="between 0 and 1"):
        bounded_above([1.5], 0.5)


def test_a_budget_is_shared():
    assert combined([math.log(100), 0.0], [0.5, 0.5]) == pytest.approx(math.log(50.5))
    assert combined([math.inf, 0.0], [0.5, 0.5]) == math.inf and combined([math.inf, 0.0], [0.0, 1.0]) == 0
    assert combined([1000.0, -math.inf], [0.5, 0.5]) == pytest.approx(1000 - math.log(2))
    assert rejects(math.log(100.1), 0.01) and not rejects(math.log(99.9), 0.01)
    for logs, weights in (([1.0], [1.1]), ([1.0], [-0.1]), ([1.0], [0.5, 0.5]), ([], [])):
        with pytest.raises(ValueError, match="none negative"):
            combined(logs, weights)
