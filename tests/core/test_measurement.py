"""A measurement is never a bare float, and never an impossible one."""

import json

import pytest

from edgewright.core.measurement import Measurement


def test_the_same_through_json() -> None:
    one = Measurement(2.5, "ms", "measured", 40, 2.0, 3.0, {"threads": 1}, "host", "ab")
    assert Measurement.from_json(json.loads(json.dumps(one.to_json()))) == one
    assert set(one.to_json()) == {"value", "low", "high", "n", "unit", "kind", "conditions", "target", "subject"}


@pytest.mark.parametrize(
    ("given", "reads"),
    [
        (Measurement(2.5, "ms", "measured", 40, 2.0, 3.0), "2.5 ms [2, 3]"),
        (Measurement(2.5, "ms", "predicted"), "2.5 ms (predicted)"),
        (Measurement(0.00012346, "mJ", "estimated", low=0.0, high=1.0), "0.0001235 mJ [0, 1] (estimated)"),
        (Measurement(1.0, "B", "measured", low=1.0), "1 B"),
    ],
)
def test_it_reads_with_its_unit_and_says_when_nothing_was_measured(given: Measurement, reads: str) -> None:
    assert str(given) == reads


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_value_is_finite(value: float) -> None:
    with pytest.raises(ValueError, match="finite"):
        Measurement(value, "ms", "measured")


@pytest.mark.parametrize("kind", ["guessed", "", "Measured"])
def test_a_kind_is_one_of_three(kind: str) -> None:
    with pytest.raises(ValueError, match="kind"):
        Measurement(1.0, "ms", kind)  # type: ignore[arg-type]


@pytest.mark.parametrize(("low", "high"), [(1.1, 2.0), (0.0, 0.9), (float("nan"), 2.0)])
def test_a_value_lies_in_its_interval(low: float, high: float) -> None:
    with pytest.raises(ValueError, match="outside its interval"):
        Measurement(1.0, "ms", "measured", 3, low, high)
