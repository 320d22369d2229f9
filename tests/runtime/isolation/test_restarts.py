"""When a worker is started again, and how long one is waited for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgewright.runtime.isolation.restarts import Patience, Restarts


@pytest.mark.parametrize(
    ("deaths", "delay"),
    [
        ([100.0], 0.0),
        ([99.0, 100.0], 0.25),
        ([98.0, 99.0, 100.0], 0.5),
        ([97.0, 98.0, 99.0, 100.0], 1.0),
        ([96.0, 97.0, 98.0, 99.0, 100.0], None),
        ([0.0, 1.0, 2.0, 3.0, 100.0], 0.0),  # long ago
    ],
)
def test_the_delay_doubles_and_ends(deaths, delay):
    assert Restarts().delay_s(deaths, 100.0) == delay


@given(st.lists(st.floats(0, 1000), min_size=1, max_size=50), st.integers(1, 1000))
def test_no_delay_is_longer_than_the_longest(deaths, most):
    delay = Restarts(most=most).delay_s(sorted(deaths), max(deaths))
    assert delay is None or 0 <= delay <= Restarts().longest_s


def test_patience_grows_with_what_was_seen():
    patience = Patience()
    assert patience.limit_s(100) == 60.0
    patience.ran(100, 0.001)
    assert patience.limit_s(100) == 2.0 and patience.limit_s(1000) == 20.0
    patience.ran(100, 0.1)
    patience.ran(100, 0.01)
    assert patience.limit_s(50) == pytest.approx(10.0)
    assert Patience(0.5).limit_s(10**9) == 0.5
