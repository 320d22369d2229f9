"""Effects: at the margin itself, the worst that is still benign, evidence keeps its promise over all looks. Seeded."""

import math

import numpy as np
import pytest

from edgewright.flows.release.effects import Panel, average, compare
from edgewright.flows.release.gates import _evidence

MARGIN = 0.01
TAILS = {
    "normal": lambda rng, n: rng.normal(0, 1, n),
    "heavy": lambda rng, n: rng.standard_t(3, n) / math.sqrt(3),
    "skewed": lambda rng, n: rng.exponential(1, n) - 1,
}


def looks(seed, devices, canaries, tail, shift=MARGIN, count=20):
    """The effect at each look: devices keep an effect of their own, and their means get surer as data come."""
    rng = np.random.default_rng(seed)
    canary = np.zeros(devices, np.bool_)
    canary[rng.permutation(devices)[:canaries]] = True
    base = rng.normal(0.1, 0.03, devices)
    before = base + rng.normal(0, 0.02, devices)
    own, total = 0.02 * TAILS[tail](rng, devices), np.zeros(devices)
    strata = rng.integers(0, 3, devices)
    for k in range(1, count + 1):
        total += rng.normal(0, 0.1, devices)
        after, variance = base + own + total / k + shift * canary, np.full(devices, 0.01 / k)
        yield compare(Panel(after, variance, before, np.full(devices, 0.0004), strata, canary), MARGIN)


@pytest.mark.parametrize("tail", list(TAILS))
@pytest.mark.parametrize(("devices", "canaries"), [(200, 10), (12, 4), (3, 1)])
def test_a_benign_shift_is_seldom_more_than_its_margin_whatever_devices_are_like(devices, canaries, tail):
    most = [
        max(_evidence(e.estimate, e, MARGIN, 2 * MARGIN) for e in looks(seed, devices, canaries, tail))
        for seed in range(60)
    ]
    assert np.mean(np.array(most) >= math.log(20)) <= 0.05


def test_the_past_of_each_device_is_used():
    *_, last = looks(0, 200, 20, "normal", shift=0.05)
    assert 0.5 < last.slope <= 1 and last.estimate == pytest.approx(0.05, abs=4 * math.sqrt(last.variance))
    assert last.variance < (0.03**2 + 0.02**2 + 0.01 / 20) / 20


def test_one_arm_alone_is_no_comparison():
    ones = np.ones(4)
    for canary in (np.ones(4, np.bool_), np.zeros(4, np.bool_)):
        assert compare(Panel(ones, 0 * ones, ones, 0 * ones, np.zeros(4, np.int64), canary), MARGIN) is None
    assert average(np.empty(0), np.empty(0), MARGIN) is None


def test_strata_that_differ_are_not_taken_for_an_effect():
    """All canaries of a stratum that is worse anyway: they are held against their own kind."""
    stratum = np.array([0] * 50 + [1] * 50)
    canary = np.array([i < 20 or i in (50, 51) for i in range(100)])
    after = np.where(stratum == 0, 0.5, 0.1) + np.random.default_rng(0).normal(0, 0.001, 100)
    effect = compare(Panel(after, np.zeros(100), np.full(100, np.nan), np.zeros(100), stratum, canary), MARGIN)
    assert abs(effect.estimate) < 0.002
