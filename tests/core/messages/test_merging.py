"""Whatever can be read merges into what can be read: a device cannot make the hub write what it cannot read."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from edgewright.core.messages import Observation, Report, Series, render
from edgewright.core.messages.observations import merge
from edgewright.core.sketches import MOST, Sketch

COUNTS = st.sampled_from([0, 1, 3, 2**52, MOST - 1, MOST])
REALS = st.sampled_from([0.0, 5e-324, -1e-310, 1.0, -7.25, 1e15, 1e300, -1e300]) | st.floats(-1e300, 1e300)
BINS = st.dictionaries(st.integers(-30, 30) | st.integers(-500, 500), COUNTS.filter(bool), max_size=4)


@st.composite
def series(draw):
    low, high = sorted((draw(REALS), draw(REALS)))
    sketch = Sketch(
        positive=draw(BINS), negative=draw(BINS), zeros=draw(COUNTS), nans=draw(COUNTS), infinities=draw(COUNTS),
        low=low, high=high,
    )  # fmt: skip
    return Series(sketch, draw(REALS))


def again(one):
    """As the other side reads it."""
    return Observation.from_json(one.to_json())


def told(value):
    return Observation("m", "", 0.0, 1.0, {"requests": MOST}, {"ok": MOST}, {"x": value})


def most(**more):
    return Series(Sketch(**{"low": 0.0, "high": 1.0} | more), more.pop("total", 0.0))


@settings(max_examples=200, deadline=None)
@example([most(nans=MOST)] * 2)
@example([most(zeros=MOST)] * 2)
@example([most(infinities=MOST)] * 2)
@example([most(positive={3: MOST})] * 2)
@example([Series(Sketch(positive={3: 1}, low=1e300, high=1e300), 1e300)] * 2)
@example([Series(Sketch(positive={3: 1}, low=5e-324, high=5e-324), 5e-324)] * 3)
@given(st.lists(series(), min_size=1, max_size=4))
def test_what_can_be_read_merges_into_what_can_be_read(drawn):
    parts = [again(told(one)) for one in drawn]
    merged = merge(parts)
    assert again(merged) == merged
    assert again(merge([merged, *parts])).counters == {"requests": MOST}
    render(Report("b", 0, (merged,)))


def test_counts_end_where_readers_keep_them_whole():
    full = again(told(most(nans=MOST, zeros=MOST, positive={3: MOST})))
    sketch = merge([full, full]).series["x"].sketch
    assert (sketch.nans, sketch.zeros, sketch.positive) == (MOST, MOST, {3: MOST})


@pytest.mark.parametrize("total", [1.9, 4.1, 1e301])
def test_a_sum_that_does_not_go_with_its_values_is_not_read(total):
    value = told(Series.of([1.0, 2.0])).to_json()
    value["series"]["x"]["sum"] = total
    with pytest.raises(ValueError, match=r"sum|number"):
        Observation.from_json(value)
