"""Intervals cover what they promise, on distributions of every shape; and the rules that hold without exception."""

from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgewright.core.statistics import bootstrap_mean, paired_means, paired_proportions, quantile, ratio, wilson

LATENCIES = {
    "normal": lambda rng, n: rng.normal(10, 1, n),
    "skewed": lambda rng, n: rng.lognormal(0, 1, n),
    "two humps": lambda rng, n: np.where(rng.random(n) < 0.3, rng.normal(20, 0.1, n), rng.normal(10, 0.1, n)),
    "few values": lambda rng, n: rng.integers(0, 4, n).astype(float),
}
TRUE = 400_000
numbers = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=60).map(np.array)
answers = st.lists(st.booleans(), min_size=1, max_size=80).map(np.array)


def covered(rounds, truth, interval):
    """The share of seeded rounds whose interval holds the truth."""
    found = [interval(np.random.default_rng(seed)) for seed in range(rounds)]
    return float(np.mean([i.low <= truth <= i.high for i in found]))


@pytest.mark.parametrize("shape", LATENCIES)
@pytest.mark.parametrize(("q", "n"), [(0.5, 25), (0.5, 200), (0.95, 200), (0.99, 1000)])
def test_a_quantiles_interval_covers_it_whatever_the_distribution(shape, q, n):
    draw = LATENCIES[shape]
    truth = float(np.quantile(draw(np.random.default_rng(10**6), TRUE), q))
    assert covered(400, truth, lambda rng: quantile(draw(rng, n), q)) >= 0.93


def test_with_too_few_samples_for_the_tail_the_interval_ends_at_the_extremes():
    x = np.arange(20.0)
    found = quantile(x, 0.99)
    assert found.high == 19.0 and found.low <= found.value <= found.high
    assert quantile(np.array([7.0]), 0.5) == quantile(np.array([7.0]), 0.99)


@given(numbers, st.floats(0.01, 0.99))
def test_a_quantile_lies_in_its_interval_and_in_the_data(x, q):
    found = quantile(x, q)
    assert x.min() <= found.low <= found.value <= found.high <= x.max()
    assert found.n == x.size
    assert quantile(np.sort(x)[::-1], q) == found, "the order does not matter"


@given(numbers)
def test_more_confidence_is_never_narrower(x):
    for function in (lambda c: quantile(x, 0.5, c), lambda c: bootstrap_mean(x, c, draws=200)):
        narrow, wide = function(0.5), function(0.99)
        assert wide.low <= narrow.low and narrow.high <= wide.high


@pytest.mark.parametrize("shape", ["normal", "few values", "two humps"])
def test_the_bootstrap_covers_the_mean(shape):
    draw = LATENCIES[shape]
    truth = float(draw(np.random.default_rng(10**6), TRUE).mean())
    assert covered(250, truth, lambda rng: bootstrap_mean(draw(rng, 60), draws=500)) >= 0.91


# Newcombe, "Two-sided confidence intervals for the single proportion", Stat. Med. 17 (1998), table I, method 3.
@pytest.mark.parametrize(
    ("right", "n", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilsons_interval_is_the_published_one(right, n, low, high):
    found = wilson(right, n)
    assert (found.low, found.high) == (pytest.approx(low, abs=5e-5), pytest.approx(high, abs=5e-5))
    mirrored = wilson(n - right, n)
    assert (1 - mirrored.high, 1 - mirrored.low) == (pytest.approx(found.low), pytest.approx(found.high))


@pytest.mark.parametrize("p", [0.02, 0.3, 0.5, 0.95])
@pytest.mark.parametrize("n", [30, 250])
def test_wilsons_interval_covers_on_average(p, n):
    assert covered(500, p, lambda rng: wilson(int(rng.binomial(n, p)), n)) >= 0.92


def draw_pairs(rng, n, both, only_before, only_after):
    kind = rng.choice(4, n, p=[both, only_before, only_after, 1 - both - only_before - only_after])
    return (kind <= 1), (kind == 0) | (kind == 2)


@pytest.mark.parametrize("n", [60, 240])
@pytest.mark.parametrize(
    ("both", "only_before", "only_after"),
    [(0.9, 0.02, 0.01), (0.96, 0.005, 0.005), (0.5, 0.1, 0.1), (0.7, 0.2, 0.05), (0.97, 0.0, 0.0)],
)
def test_a_paired_drop_is_covered(n, both, only_before, only_after):
    def interval(rng):
        return paired_proportions(*draw_pairs(rng, n, both, only_before, only_after))

    assert covered(400, only_after - only_before, interval) >= 0.93


@given(answers, st.data())
def test_paired_proportions_mirror_and_stay_in_bounds(before, data):
    after = np.array(data.draw(st.lists(st.booleans(), min_size=before.size, max_size=before.size)))
    found, back = paired_proportions(before, after), paired_proportions(after, before)
    assert -1 <= found.low <= found.value <= found.high <= 1
    assert found.value == pytest.approx(after.mean() - before.mean())
    assert (back.low, back.value, back.high) == pytest.approx((-found.high, -found.value, -found.low))


@given(answers)
def test_the_same_answers_differ_by_nothing_with_doubt_left(answers_):
    found = paired_proportions(answers_, answers_)
    assert found.value == 0 and found.low < 0 < found.high
    assert found.high == pytest.approx(-found.low)


def test_being_paired_narrows_the_interval():
    rng = np.random.default_rng(0)
    before, after = draw_pairs(rng, 400, 0.9, 0.01, 0.01)
    paired, alone = paired_proportions(before, after), paired_proportions(before, rng.permutation(after))
    assert paired.high - paired.low < 0.6 * (alone.high - alone.low)


def test_a_ratio_of_interleaved_blocks_does_not_see_the_machines_drift():
    def interval(rng):
        drift = np.exp(np.cumsum(rng.normal(0, 0.05, 40)))  # both suffer together
        noise = lambda: rng.lognormal(0, 0.02, 40)  # noqa: E731
        return ratio(0.6 * drift * noise(), drift * noise())

    assert covered(150, 0.6, interval) >= 0.9
    assert all(i.high - i.low < 0.05 for i in map(interval, map(np.random.default_rng, range(20))))


@given(st.lists(st.tuples(st.floats(0.01, 1e3), st.floats(0.01, 1e3)), min_size=1, max_size=30))
def test_a_ratio_lies_in_its_interval_and_in_the_data(pairs):
    a, b = np.array(pairs).T
    found = ratio(a, b, draws=200)
    assert (a / b).min() <= found.low <= found.value <= found.high <= (a / b).max()
    assert ratio(3 * a, b, draws=200).value == pytest.approx(3 * found.value)


def test_the_same_data_give_the_same_interval():
    x = np.random.default_rng(0).normal(size=50)
    assert bootstrap_mean(x) == bootstrap_mean(x)
    assert ratio(np.exp(x), np.ones(50)) == ratio(np.exp(x), np.ones(50))
    assert bootstrap_mean(x, seed=1) != bootstrap_mean(x, seed=2)
    assert paired_means(x, x + 1).value == pytest.approx(1.0)


def test_the_levels_are_those_of_the_normal_distribution():
    assert NormalDist().inv_cdf(0.975) == pytest.approx(1.959964, abs=1e-6)
    n, p = 10_000, 0.5
    half = (wilson(n // 2, n).high - wilson(n // 2, n).low) / 2
    assert half == pytest.approx(1.959964 * (p * (1 - p) / n) ** 0.5, rel=1e-3)


@pytest.mark.parametrize(
    "call",
    [
        lambda: quantile(np.array([]), 0.5),
        lambda: quantile(np.ones(3), 0.0),
        lambda: quantile(np.ones(3), 1.0),
        lambda: bootstrap_mean(np.array([])),
        lambda: wilson(0, 0),
        lambda: wilson(4, 3),
        lambda: wilson(-1, 3),
        lambda: paired_proportions(np.ones(3, bool), np.ones(4, bool)),
        lambda: paired_proportions(np.ones(0, bool), np.ones(0, bool)),
        lambda: paired_means(np.ones(3), np.ones(4)),
        lambda: ratio(np.ones(3), np.zeros(3)),
        lambda: ratio(np.ones(3), np.ones(4)),
        lambda: ratio(np.ones(0), np.ones(0)),
    ],
)
def test_what_says_nothing_is_refused(call):
    with pytest.raises(ValueError, match="need"):
        call()
