"""Sketches keep their relative error, do not care about order, and stay small."""

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgewright.core.sketches import Sketch

NUMBERS = st.one_of(
    st.floats(allow_subnormal=False, width=64),
    st.sampled_from([0.0, -0.0, 1.0, -1.0, 1e-300, -1e300, math.nan, math.inf, -math.inf]),
)


def sketch(values: object, **options: float) -> Sketch:
    made = Sketch(**options)  # type: ignore[arg-type]
    made.add(np.asarray(values, np.float64))
    return made


@pytest.mark.parametrize("accuracy", [0.001, 0.01, 0.1])
@pytest.mark.parametrize("draw", ["normal", "lognormal", "uniform", "constant", "integers"])
def test_quantiles_lie_within_the_relative_error(draw: str, accuracy: float) -> None:
    rng = np.random.default_rng(3)
    values = {
        "normal": lambda: rng.standard_normal(5000) * 7 - 3,
        "lognormal": lambda: rng.lognormal(0, 2, 5000),
        "uniform": lambda: rng.uniform(-1, 1, 5000),
        "constant": lambda: np.full(50, 42.0),
        "integers": lambda: rng.integers(0, 255, 5000).astype(float),
    }[draw]()
    found = sketch(values, accuracy=accuracy, bins=65536)
    for q in (0, 0.01, 0.25, 0.5, 0.75, 0.99, 1):
        true = np.quantile(values, q, method="lower")
        assert abs(found.quantile(q) - true) <= accuracy * abs(true) * (1 + 1e-9)


@settings(deadline=None)
@given(st.lists(NUMBERS, max_size=60), st.lists(NUMBERS, max_size=60), st.integers(1, 40))
def test_merging_parts_in_any_order_is_adding_all(first: list[float], second: list[float], bins: int) -> None:
    whole = sketch(first + second, bins=bins)
    one_way, other_way = sketch(first, bins=bins), sketch(second, bins=bins)
    one_way.merge(sketch(second, bins=bins))
    other_way.merge(sketch(first, bins=bins))
    shuffled = sketch((first + second)[::-1], bins=bins)
    assert whole == one_way == other_way == shuffled


@settings(deadline=None)
@given(st.lists(NUMBERS, max_size=200), st.integers(1, 20))
def test_memory_is_bounded_and_nothing_is_lost(values: list[float], bins: int) -> None:
    found = sketch(values, bins=bins)
    assert max(len(found.positive), len(found.negative)) <= bins
    assert found.count + found.nans + found.infinities == len(values)


@settings(deadline=None)
@given(st.lists(NUMBERS, max_size=60))
def test_json_round_trip(values: list[float]) -> None:
    found = sketch(values)
    assert Sketch.from_json(json.loads(json.dumps(found.to_json(), allow_nan=False))) == found


def test_large_magnitudes_keep_their_error_when_small_ones_are_folded() -> None:
    values = np.concatenate([np.full(10, 1e-12), np.linspace(1, 100, 90)])
    found = sketch(values)
    assert abs(found.quantile(0.5) - np.quantile(values, 0.5, method="lower")) <= 0.5
    assert found.quantile(0) < 1e-6


def test_takes_integers_booleans_and_nothing() -> None:
    found = Sketch()
    found.add(np.array([[True, False]]))
    found.add(np.array([3], np.uint8))
    found.add(np.array([], np.float32))
    assert (found.count, found.zeros, found.high) == (3, 1, 3.0)
    with pytest.raises(ValueError, match="needs values"):
        Sketch().quantile(0.5)


def test_refuses_to_merge_another_kind() -> None:
    with pytest.raises(ValueError, match="same accuracy"):
        Sketch().merge(Sketch(accuracy=0.02))


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "histogram"}, {"accuracy": 2}, {"bins": 0}, {"bins": 10**9}, {"positive": [[1, 0]]},
        {"positive": [[1, 1], [1, 2]]}, {"positive": [[0, 1], [5000, 1]]}, {"positive": [[1.5, 1]]}, {"zeros": -1},
        {"zeros": True}, {"low": None}, {"low": 3.0}, {"low": math.inf}, {"high": -1.0}, {"extra": 1},
        {"negative": "x"},
    ],
)  # fmt: skip
def test_refuses_what_is_no_sketch(change: dict[str, object]) -> None:
    good = sketch([1.0, 2.0, 0.0]).to_json()
    with pytest.raises(ValueError):
        Sketch.from_json({**good, **change})


@given(st.lists(st.floats(0, 1e6).filter(lambda x: not 0 < x < 1e-2), min_size=1), st.floats(0, 1))
def test_what_a_share_lies_within_is_never_told_too_small(values: list[float], share: float) -> None:
    made = Sketch()
    made.add(values)
    exact = sorted(values)[max(math.ceil(share * len(values)), 1) - 1]
    assert exact * (1 - 1e-12) <= made.within(share) <= max(exact * 1.0203, exact)
    with pytest.raises(ValueError):
        Sketch().within(share)


def test_one_value_many_times_is_as_many_values() -> None:
    many, each = Sketch(), Sketch()
    many.count_one(0.5, 3)
    many.count_one(0.5, 2)
    each.add([0.5] * 5)
    assert many == each
