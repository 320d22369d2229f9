"""Windows, waits, guardrails of a rollout: pure rules."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgewright.agent.guardrails import Counts, breach
from edgewright.agent.net.jitter import LONGEST_S, Jitter
from edgewright.agent.net.windows import opens_in_s
from edgewright.core.errors import InputError

H = 3600.0


@pytest.mark.parametrize(
    ("window", "at", "left"),
    [
        ("", 5 * H, 0), ("02:00-04:00", 1 * H, H), ("02:00-04:00", 2 * H, 0), ("02:00-04:00", 4 * H, 22 * H),
        ("22:00-03:00", 23 * H, 0), ("22:00-03:00", 2 * H, 0), ("22:00-03:00", 3 * H, 19 * H),
        ("00:00-00:00", 7 * H, 0),
    ],
)  # fmt: skip
def test_windows(window, at, left):
    assert opens_in_s(window, at) == left


@pytest.mark.parametrize("window", ["24:00-01:00", "2-4", "02:00", "02:00-04:60", " 02:00-04:00"])
def test_windows_that_are_none(window):
    with pytest.raises(InputError, match="maintenance window"):
        opens_in_s(window, 0.0)


@given(st.integers(0, 200), st.floats(0, 1, exclude_max=True))
def test_waits_are_drawn_and_bounded(failures, drawn):
    jitter = Jitter(lambda: drawn)
    waits = [jitter.failed() for _ in range(failures + 1)]
    assert all(0 <= wait <= LONGEST_S for wait in waits) and waits == sorted(waits)
    assert jitter.failed(30.0) >= 30.0, "as the hub asked"
    assert jitter.succeeded() <= 0.5 and jitter.failed() <= 1.0


RUNS = {"0.001": 50.0, "0.01": 90.0, "0.1": 100.0, "+Inf": 100.0}


@pytest.mark.parametrize(
    ("counts", "limits", "broken"),
    [
        (Counts(100, 20), {"error_rate": 0.02}, True), (Counts(100, 1), {"error_rate": 0.001}, False),
        (Counts(100, 20), {"error_rate": 0.2}, False), (Counts(80, 0, late=30), {"miss_rate": 0.1}, True),
        (Counts(100, 0, runs=RUNS), {"latency_p95_ms": 39.0}, True),
        (Counts(100, 0, runs=RUNS), {"latency_p95_ms": 41.0}, False),
        (Counts(10, 0, runs=RUNS), {"latency_p95_ms": 1.0}, False), (Counts(100, 0), {"latency_p95_ms": 1.0}, False),
        (Counts(1, 0), {"confidence": 0.0}, False), (Counts(), {"error_rate": 0.0}, False),
    ],
)  # fmt: skip
def test_limits_of_the_rollout(counts, limits, broken):
    assert bool(breach(counts, limits)) == broken
