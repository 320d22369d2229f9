"""From a device's observation to what gates compare."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgewright.core.doubt import DoubtCurve
from edgewright.core.messages import Observation, Series
from edgewright.core.messages.observations import merge
from edgewright.flows.release import METRICS, doubt_of, readings

CURVE = DoubtCurve(1.0, 0.5)


def observation(counters=None, classes=None, **series):
    return Observation("m", "", 0.0, 900.0, counters or {}, classes or {}, {k: Series.of(v) for k, v in series.items()})


def test_every_metric_of_the_table_that_a_device_tells_has_its_name():
    draw = np.random.default_rng(0)
    one = observation(
        {"requests": 200, "errors": 4, "compared": 50, "disagreed": 5, "predictions": 196}, {"cat": 150, "dog": 46},
        latency_ms=draw.lognormal(2, 0.3, 196), confidence=draw.random(196), lead=draw.exponential(3, 196),
    )  # fmt: skip
    found = readings(one, CURVE)
    assert found.keys() == {
        "errors", "latency", "confidence", "doubt", "predictions/cat", "predictions/dog", "disagreement",
    }  # fmt: skip
    assert {name.partition("/")[0] for name in found} == {metric.name for metric in METRICS} - {"wrong"}
    assert (found["errors"].n, found["errors"].mean) == (200, 0.02)
    assert (found["disagreement"].n, found["disagreement"].mean) == (50, 0.1)
    assert found["predictions/cat"].mean == pytest.approx(150 / 196)
    assert found["latency"].mean == pytest.approx(math.log(one.series["latency_ms"].sketch.quantile(0.95)))
    assert found["latency"].variance is None


@given(st.lists(st.floats(0.01, 1.0), min_size=2, max_size=80))
def test_confidence_has_its_exact_mean_and_the_sketchs_variance(values):
    found = readings(observation(confidence=values))["confidence"]
    assert found.n == len(values)
    assert found.mean == pytest.approx(np.mean(values))
    assert found.variance == pytest.approx(np.var(values), abs=0.021)


@given(st.lists(st.floats(0, 40), min_size=1, max_size=80))
def test_doubt_of_a_sketch_is_that_of_its_leads(leads):
    found = readings(observation(lead=leads), CURVE)["doubt"]
    assert found.mean == pytest.approx(float(CURVE.of(leads).mean()), abs=0.01)
    assert found == doubt_of(Series.of(leads).sketch, CURVE)


def test_without_a_curve_there_is_no_doubt_and_of_nothing_there_is_nothing():
    assert readings(observation(lead=[1.0])) == {}
    assert readings(observation(), CURVE) == {}
    assert readings(observation({"requests": 0, "errors": 0, "compared": 0}), CURVE) == {}


def test_shares_are_of_all_rows_also_where_rare_classes_were_left_out():
    found = readings(observation({"predictions": 1000}, {"a": 400, "b": 100}))
    assert (found["predictions/a"].n, found["predictions/a"].mean) == (1000, 0.4)


@pytest.mark.parametrize(
    "forged",
    [
        observation({"requests": 1, "errors": 5}),
        observation({"compared": 1, "disagreed": 2}),
        observation(lead=[-1.0, 2.0]),
        observation(latency_ms=[0.0]),
        observation(latency_ms=[-5.0]),
        observation(confidence=[math.nan]),
        observation({"predictions": 1}, {"a": 5}),
    ],
)
def test_what_cannot_be_true_breaks_nothing(forged):
    assert readings(forged, CURVE).keys() <= {"predictions/a"}


def test_two_windows_together_are_as_one():
    parts = [
        observation({"requests": 5, "errors": n, "predictions": 5}, {"a": 5 - n, "b": n}, confidence=[0.5, 0.5 + n / 9],
                    lead=[1.0, n], latency_ms=[3.0, 4.0 + n])
        for n in range(3)
    ]  # fmt: skip
    found = readings(merge(parts), CURVE)
    assert (found["errors"].n, found["errors"].mean) == (15, 0.2)
    assert found["confidence"].n == found["doubt"].n == 6
