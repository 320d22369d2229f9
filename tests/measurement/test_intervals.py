"""Intervals that count visits, not samples."""

from __future__ import annotations

import numpy as np
import pytest

from edgewright.core.statistics import Interval, quantile
from edgewright.measurement.intervals import (
    between_openings,
    clustered_quantile,
    dependence,
    interval_note,
    median_of,
    median_ratio,
    paired_ratio,
    trend,
    two_modes,
    widen,
)


def clusters(seed: int, visits: int = 40, calls: int = 50, shared: float = 1.0) -> list[np.ndarray]:
    """Visits whose calls share an offset: true median 10."""
    rng = np.random.default_rng(seed)
    return [10 + shared * rng.standard_normal() + 0.2 * rng.standard_normal(calls) for _ in range(visits)]


def holds(found: Interval, truth: float) -> bool:
    return found.low <= truth <= found.high


def test_a_clustered_median_holds_the_truth_where_pooled_order_statistics_do_not():
    drawn = [clusters(seed) for seed in range(120)]
    honest = np.mean([holds(clustered_quantile(v, 0.5), 10) for v in drawn])
    naive = np.mean([holds(quantile(np.concatenate(v), 0.5), 10) for v in drawn])
    assert honest >= 0.9
    assert naive < 0.5


def test_neighbouring_visits_that_resemble_each_other_widen_the_interval():
    rng = np.random.default_rng(0)
    walk = np.zeros(200)
    for i in range(1, 200):
        walk[i] = 0.9 * walk[i - 1] + rng.standard_normal()
    assert dependence(walk) > 2
    assert dependence(rng.permutation(walk)) == 1
    wide = clustered_quantile([10 + 0.1 * np.full(5, x) for x in walk], 0.5)
    narrow = clustered_quantile([10 + 0.1 * np.full(5, x) for x in rng.permutation(walk)], 0.5)
    assert wide.high - wide.low > 1.5 * (narrow.high - narrow.low)


@pytest.mark.parametrize("q", [0.5, 0.95, 0.99])
def test_a_quantile_lies_in_its_interval_and_counts_its_samples(q: float):
    found = clustered_quantile(clusters(3), q)
    assert found.low <= found.value <= found.high
    assert found.n == 40 * 50


def test_one_visit_gets_the_binomial_interval():
    x = np.random.default_rng(0).standard_normal(500)
    found, plain = clustered_quantile([x], 0.5), quantile(x, 0.5)
    assert found.value == plain.value
    assert found.high - found.low == pytest.approx(plain.high - plain.low, rel=0.25)


@pytest.mark.parametrize("visits", [[], [np.array([])]])
def test_no_samples_are_refused(visits: list[np.ndarray]):
    with pytest.raises((ValueError, IndexError)):
        clustered_quantile(visits, 0.5)


def test_ratios_cancel_a_drift_that_both_share():
    rng = np.random.default_rng(1)
    drift = np.linspace(1, 3, 200)
    a = 2 * drift * rng.lognormal(0, 0.02, 200)
    b = 5 * drift * rng.lognormal(0, 0.02, 200)
    for found in (paired_ratio(a, b), median_ratio(a, b)):
        assert holds(found, 0.4)
        assert found.high - found.low < 0.01


def test_few_runs_have_a_range_and_say_so():
    assert interval_note(5) == {"interval": "range of 5"}
    assert interval_note(1) == {"interval": "one run"}
    assert interval_note(6) == {}
    found = median_of([5.0, 1.0, 3.0])
    assert (found.value, found.low, found.high, found.n) == (3.0, 1.0, 5.0, 3)


@pytest.mark.parametrize(("n", "rank"), [(6, 0), (8, 0), (9, 1), (12, 2), (20, 5)])
def test_ranks_of_the_median_follow_the_binomial_table(n: int, rank: int):
    # Conover, Practical Nonparametric Statistics, table A3 (95%, p = 0.5).
    found = median_of(list(range(n)))
    assert (found.low, found.high) == (rank, n - 1 - rank)


def test_two_heaps_are_told_from_one():
    rng = np.random.default_rng(2)
    one = rng.lognormal(0, 0.05, 300)
    two = np.concatenate([rng.normal(10, 0.1, 200), rng.normal(12, 0.1, 100)])
    skewed = 10 + rng.exponential(1.0, 300)
    assert two_modes(two) == pytest.approx((10, 12), rel=0.02)
    assert two_modes(one) == ()
    assert two_modes(skewed) == ()
    assert two_modes(rng.uniform(9, 12, 300)) == ()
    assert two_modes(np.full(100, 3.0)) == ()
    assert two_modes(np.array([1.0, 2.0])) == ()


def test_openings_that_differ_widen_and_one_opening_tells_nothing():
    rng = np.random.default_rng(3)
    levels = [np.log(1 + shift + 0.001 * rng.standard_normal(50)) for shift in (0, 0.01, -0.01, 0.02)]
    error, freedom = between_openings(levels)
    assert freedom == 3
    assert 0.003 < error < 0.01
    assert between_openings(levels[:1]) == (0.0, 0)
    narrow = Interval(1.0, 0.999, 1.001, 50)
    wide = widen(narrow, [(error, freedom)])
    assert wide.low < 0.99 < 1.01 < wide.high
    assert widen(narrow, [(0.0, 0)]) == narrow


def test_a_trend_finds_the_slope_despite_outliers():
    rng = np.random.default_rng(4)
    t = np.linspace(0, 10, 400)
    y = 5 + 0.2 * t + 0.05 * rng.standard_normal(400)
    y[::17] += 5
    found = trend(t, y)
    assert holds(found, 0.2)
    assert found.high - found.low < 0.05
    flat = trend(t, rng.standard_normal(400))
    assert holds(flat, 0.0)
    with pytest.raises(ValueError, match="three points"):
        trend(t[:2], y[:2])
