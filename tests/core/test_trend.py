"""Trends: seldom seen where there is none, also in streams that remember; seen where there is one. Draws are seeded."""

import math

import numpy as np
import pytest

from edgewright.core.trend import Trend, Verdict, judge, statistic

BLOCKS = 64


def waves(memory, count, n=BLOCKS, seed=0):
    """``count`` stationary AR(1) series (count, n) of variance 1."""
    rng = np.random.default_rng(seed)
    drawn = rng.standard_normal((n, count)) * math.sqrt(1 - memory**2)
    drawn[0] = rng.standard_normal(count)
    for t in range(1, n):
        drawn[t] += memory * drawn[t - 1]
    return drawn.T


def share(series):
    """The share of series in which a trend is seen, up and down."""
    found = np.array([statistic(one) for one in series])
    return float((found > 4).mean()), float((found < -4).mean())


@pytest.mark.parametrize(("memory", "most"), [(0.0, 0.001), (0.3, 0.001), (0.5, 0.001), (0.8, 0.006), (0.9, 0.02)])
def test_without_a_trend_one_is_seldom_seen(memory, most):
    """3,000 looks: 4.5 standard deviations are let through, so that the bound itself is what is held."""
    count = 3000
    assert sum(share(waves(memory, count))) <= most + 4.5 * math.sqrt(most * (1 - most) / count)


@pytest.mark.parametrize("draw", ["lognormal", "cauchy", "bursts", "two speeds"])
def test_heavy_tails_and_odd_shapes_are_no_trend(draw):
    rng = np.random.default_rng(1)
    series = {
        "lognormal": lambda: rng.lognormal(0, 2, (1000, BLOCKS)),
        "cauchy": lambda: rng.standard_cauchy((1000, BLOCKS)),
        "bursts": lambda: np.exp(2 * waves(0.5, 1000, seed=1)),
        "two speeds": lambda: rng.integers(0, 2, (1000, BLOCKS)) + rng.normal(0, 1e-3, (1000, BLOCKS)),
    }[draw]()
    assert sum(share(series)) <= 0.008


@pytest.mark.parametrize(
    ("memory", "kind", "size", "least"),
    [(0.0, "drift", 3, 0.9), (0.0, "drift", 4, 0.99), (0.0, "step", 2, 0.85), (0.0, "late step", 4, 0.85),
     (0.5, "drift", 6, 0.85), (0.5, "step", 6, 0.5), (0.8, "drift", 10, 0.7)],
)  # fmt: skip
def test_a_trend_is_seen(memory, kind, size, least):
    """``size`` in standard deviations of a block's median, from the window's beginning to its end."""
    t = np.arange(BLOCKS)
    shape = {"drift": t / (BLOCKS - 1), "step": t >= BLOCKS // 2, "late step": t >= 3 * BLOCKS // 4}[kind]
    up, down = share(waves(memory, 300, seed=2) + size * shape)
    assert up >= least and down == 0
    up, down = share(waves(memory, 300, seed=2) - size * shape)
    assert down >= least and up == 0


def fed(values, at_once=512):
    trend = Trend()
    for start in range(0, len(values), at_once):
        trend.add(values[start : start + at_once])
    return trend


def stream(n, seed=3, memory=0.9):
    """Latencies in s, about 2 ms, heavy-tailed, each resembling the one before."""
    return 0.002 * np.exp(0.2 * waves(memory, 1, n, seed)[0])


def test_a_model_that_slows_down_is_degrading_and_one_that_speeds_up_improving():
    n = 20000
    drift = np.linspace(1, 1.5, n)
    worse, same, better = (judge(fed(stream(n) * f).windows()) for f in (drift, np.ones(n), 1 / drift))
    assert (worse.word, same.word, better.word) == ("degrading", "stable", "improving")
    assert worse.change > 0.02 > -0.02 > better.change and worse.statistic > 4


def test_a_jump_is_seen_soon_and_a_month_of_steadiness_before_it_does_not_hide_it():
    slower = np.concatenate([stream(200_000), 1.3 * stream(3000, seed=4)])
    found = judge(fed(slower).windows())
    assert found.word == "degrading" and found.values <= 4096 * 4 and 0.15 < found.change < 0.45


def test_a_slow_drift_shows_at_a_long_scale_only():
    n = 400_000
    found = judge(fed(stream(n) * np.linspace(1, 1.15, n)).windows())
    assert found.word == "degrading" and found.values > 10_000


def test_a_stream_is_seldom_called_a_trend_however_often_one_asks():
    """Stationary, with a memory of a hundred requests; asked every 512."""
    wrong = asked = 0
    for seed in range(4):
        trend, values = Trend(), stream(60_000, seed, memory=0.99)
        for start in range(0, len(values), 512):
            trend.add(values[start : start + 512])
            word = judge(trend.windows()).word
            asked += word != "unknown"
            wrong += word in ("improving", "degrading")
    assert asked > 400 and wrong / asked < 0.03


def test_nothing_is_said_before_there_is_enough():
    assert judge(fed(stream(1000)).windows()) == Verdict("unknown")
    assert judge(fed(stream(1100)).windows()).word != "unknown"


@pytest.mark.parametrize("at_once", [1, 7, 16, 5000])
def test_how_values_come_in_pieces_does_not_matter(at_once):
    values = stream(5000)
    assert fed(values, at_once).windows() == fed(values).windows()


def test_equal_times_and_coarse_clocks_are_no_trend_and_what_is_no_number_is_left_out():
    assert judge(fed(np.full(5000, 0.001)).windows()).word == "stable"
    coarse = np.round(stream(5000), 3)
    assert judge(fed(coarse).windows()).word == "stable"
    broken = np.insert(coarse, 100, [np.nan, np.inf])
    assert fed(broken).windows() == fed(coarse).windows()


def test_a_pure_slope_is_a_trend_and_a_pure_step_is_certain():
    assert statistic(np.arange(64.0)) == -statistic(-np.arange(64.0)) > 6
    assert statistic(np.repeat([1.0, 2.0], 32)) > 1e6


def test_it_stays_small():
    trend = fed(np.arange(300_000.0), 8192)
    assert sum(len(medians) for _, medians in trend.windows()) <= 6 * 64 and len(trend._rest) < 16
