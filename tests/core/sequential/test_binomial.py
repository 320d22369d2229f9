"""Shares of failures: what a limit allows is seldom called too much, however often one looks. Draws are seeded."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgewright.core.sequential import below, exceeds, rate_sequence

COUNTS = st.integers(1, 2000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))
LIMITS = st.floats(0.001, 0.9)


@given(st.integers(0, 60), LIMITS, st.floats(0, 1))
def test_an_e_value_is_at_most_one_on_average_under_every_share_up_to_the_limit(n, limit, part):
    """Exactly, by summing over all outcomes: no simulation."""
    p = limit * part
    mean = sum(math.comb(n, k) * p**k * (1 - p) ** (n - k) * math.exp(exceeds(k, n, limit)) for k in range(n + 1))
    assert mean <= 1 + 1e-9
    assert part < 1 or mean == pytest.approx(1)


@pytest.mark.parametrize("p", [0.005, 0.02])
def test_looking_after_every_device_a_limit_that_holds_is_rejected_within_alpha(p):
    """300 fleets of 1,000 devices, 250 looks: Wilson's interval fails this with 29%."""
    rng = np.random.default_rng(0)
    rejected = 0
    for _ in range(300):
        failed = np.cumsum(rng.random(1000) < p)
        rejected += any(exceeds(int(failed[n - 1]), n, 0.02) >= math.log(20) for n in range(1, 1001, 4))
    assert rejected / 300 <= 0.05


@pytest.mark.parametrize(("failed", "n", "halts"), [(0, 50, False), (1, 1, False), (2, 2, True), (5, 10, True),
                                                    (3, 50, False), (10, 100, True), (25, 1000, False)])  # fmt: skip
def test_what_halts_at_two_per_cent(failed, n, halts):
    assert (exceeds(failed, n, 0.02) >= math.log(200)) == halts


@given(COUNTS, LIMITS)
def test_one_failure_more_is_more_evidence_and_one_device_more_that_is_well_is_less(counts, limit):
    k, n = counts
    assert exceeds(k, n + 1, limit) <= exceeds(k, n, limit) <= exceeds(k + 1, n + 1, limit)
    assert below(k, n, limit) == pytest.approx(exceeds(n - k, n, 1 - limit))


@given(COUNTS)
def test_the_sequence_holds_what_was_seen_and_wider_ones_hold_narrower(counts):
    k, n = counts
    low, high = rate_sequence(k, n, 0.05)
    wide = rate_sequence(k, n, 0.01)
    assert 0 <= wide[0] <= low <= k / n <= high <= wide[1] <= 1
    assert (low == 0) == (k == 0 or low < 1e-12) and (high == 1 or k < n)


def test_the_sequence_covers_at_all_looks_together():
    rng = np.random.default_rng(1)
    missed = 0
    for _ in range(200):
        failed = np.cumsum(rng.random(400) < 0.1)
        ends = [rate_sequence(int(failed[n - 1]), n, 0.1) for n in range(5, 401, 5)]
        missed += any(not low <= 0.1 <= high for low, high in ends)
    assert missed / 200 <= 0.1


def test_edges():
    assert exceeds(1, 10, 0.0) == math.inf and exceeds(0, 10, 0.0) == 0 and exceeds(5, 5, 1.0) == 0
    assert rate_sequence(0, 0) == (0.0, 1.0)
    for counts in ((-1, 1), (2, 1)):
        with pytest.raises(ValueError, match="a share needs"):
            exceeds(*counts, 0.1)
