"""The serve benchmark's arithmetic: quantiles, arrivals, what became of requests."""

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))
from serve.arrivals import EXPIRED, FAILED, OK, REFUSED, Fates, limits, poisson, steady
from serve.figures import pooled, quantiles


def test_quantiles_are_told_only_where_enough_requests_lie_beyond():
    hundred = quantiles(np.linspace(1e-6, 100e-6, 100))
    assert hundred["p50_us"] == pytest.approx(50.5)
    assert hundred["p99_us"] is None
    many = quantiles(np.linspace(1e-6, 1e-2, 10_000))
    assert many["p99_us"] == pytest.approx(9900, rel=1e-3)
    assert many["p999_us"] == pytest.approx(9990, rel=1e-3)
    assert quantiles(np.array([]))["p50_us"] is None


def test_turns_are_pooled_request_by_request():
    turns = [
        {"asked": 12, "failed": 1, "elapsed_s": 1.0, "cpu_s": 0.2},
        {"asked": 28, "failed": 0, "elapsed_s": 3.0, "cpu_s": 0.2},
    ]
    row = pooled(turns, [np.full(10, 1e-3), np.full(30, 2e-3)])
    assert row["requests"] == 40
    assert row["failed"] == 1
    assert row["p50_us"] == 2000
    assert row["p50_turns_us"] == [1000, 2000]
    assert row["rate"] == 10
    assert row["cpu_us"] == pytest.approx(1e4)


def test_a_row_without_turns_has_no_figures():
    row = pooled([], [])
    assert (row["requests"], row["p50_us"], row["cpu_us"], row["rate"]) == (0, None, None, 0.0)


def test_poisson_arrivals_have_their_rate_and_spread():
    times = poisson(1000, 20, seed=3)
    gaps = np.diff(times)
    assert times[0] >= 0
    assert times[-1] < 20
    assert len(times) == pytest.approx(20_000, rel=0.03)
    assert gaps.std() == pytest.approx(gaps.mean(), rel=0.05)  # exponential: what a steady schedule is not
    assert np.corrcoef(gaps[1:], gaps[:-1])[0, 1] == pytest.approx(0, abs=0.03)


def test_the_same_seed_gives_the_same_arrivals():
    assert np.array_equal(poisson(100, 2, 1), poisson(100, 2, 1))
    assert not np.array_equal(poisson(100, 2, 1)[:50], poisson(100, 2, 2)[:50])


def test_steady_arrivals_and_limits():
    assert steady(4, 1).tolist() == [0, 0.25, 0.5, 0.75]
    drawn = limits(10_000, 0.002, seed=0)
    assert drawn.min() >= 0.006
    assert drawn.max() <= 0.02
    assert drawn.mean() == pytest.approx(0.013, rel=0.01)


def fates(*entries: tuple[float, float, float, int]) -> Fates:
    came, ended, limit, code = (np.array(column) for column in zip(*entries, strict=True))
    return Fates(came, ended, limit, code)


def test_what_became_of_requests():
    told = fates(
        (0.0, 0.5, 1.0, OK),
        (1.0, 2.5, 1.0, OK),  # answered, but late
        (2.0, 2.0, 1.0, REFUSED),
        (3.0, 4.002, 1.0, EXPIRED),  # told No 2 ms late
        (4.0, 4.1, 1.0, FAILED),
    ).summary(seconds=10, saturation=0.2)
    assert told["admitted"] == 4
    assert told["met"] == 1
    assert told["answered_late"] == 1
    assert told["met_of_admitted"] == 0.25
    assert told["goodput"] == pytest.approx(0.1)
    assert told["goodput_share"] == pytest.approx(0.5)
    assert told["late_max_ms"] == pytest.approx(2.0)
    assert told["late_p50_ms"] == pytest.approx(1.0)
    assert told["failed"] == 1


def test_nobody_let_in_is_no_share():
    told = fates((0.0, 0.0, 1.0, REFUSED)).summary(seconds=1, saturation=10)
    assert told["met_of_admitted"] is None
    assert told["late_p999_ms"] == 0


def test_joined_fates_count_together():
    one = fates((0.0, 0.5, 1.0, OK))
    assert one.joined(one).summary(1, 1)["met"] == 2
