"""Figures and ratios: digits, units, intervals and kinds."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgewright.core.measurement import Measurement
from edgewright.reports.figures import Scale, about, decimals_for, duration, figure, plain, scale_for
from edgewright.reports.ratios import Ratio, shrink, speedup, times, worse_kind


@pytest.mark.parametrize(
    ("value", "low", "high", "unit", "n", "said"),
    [
        (0.18782, 0.18694, 0.18874, "ms", 2300, "187.8\xa0µs (186.9 to 188.7), measured"),
        (0.7909, 0.7765, 0.8079, "ms", 290, "791\xa0µs (776 to 808), measured"),
        (12.53, 12.53, 12.53, "ms", 1, "12.5\xa0ms, measured"),
        (19.788, 19.787, 19.789, "ms", 9, "19.79\xa0ms (19.79 to 19.79), measured"),
        (1500.0, 1400.0, 1600.0, "ms", 9, "1.50\xa0s (1.40 to 1.60), measured"),
        (99.578, 97.649, 99.925, "points", 237, "99.6\xa0points (97.6 to 99.9), measured"),
        (0.0, -1.78, 1.78, "points", 237, "0.0\xa0points (−1.8 to 1.8), measured"),
        (99.578, 99.4, 99.7, "points", 10000, "99.58\xa0points (99.40 to 99.70), measured"),
        (89974, 89974, 89974, "B", 1, "90.0\xa0kB, measured"),
        (812, 812, 812, "B", 1, "812\xa0B, measured"),
        (3.2e9, None, None, "B", 1, "3.20\xa0GB, measured"),
        (889.27, 806.2, 1026.9, "1/s", 4, "889\xa0/s (806 to 1027), measured"),
        (0.0123, 0.01, 0.02, "label units", 50, "0.0123\xa0label units (0.0100 to 0.0200), measured"),
    ],
)
def test_no_more_digits_than_are_known(value: float, low: Any, high: Any, unit: str, n: int, said: str) -> None:
    found = Measurement(value, unit, "measured", n, low, high)
    assert str(figure(found, scale_for(unit, [value]))) == said


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (0, "0"),
        (-0.0, "0"),
        (-3.2, "−3.20"),
        (9999.0, "9999"),
        (1234567, "1 234 567"),
        (1e-5, "0.0000100"),
        (2e15, "2e+15"),
    ],
)
def test_plain_numbers(value: float, said: str) -> None:
    assert plain(value).replace("\xa0", " ") == said


@given(st.floats(-1e12, 1e12), st.floats(0, 1e6))
def test_the_decimals_are_few_and_never_negative(value: float, half: float) -> None:
    places = decimals_for(value, value - half, value + half)
    assert places >= 0
    assert float(plain(value, places).replace("−", "-").replace("\xa0", "")) == round(value, places)


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0.75, "0.75 s"),
        (7.16, "7.2 s"),
        (85.2, "85 s"),
        (252, "4 min 12 s"),
        (300, "5 min"),
        (4800, "80 min"),
        (9000, "2 h 30 min"),
    ],
)
def test_durations(seconds: float, said: str) -> None:
    assert duration(seconds).replace("\xa0", " ") == said


@pytest.mark.parametrize(
    ("kind", "conditions", "said"),
    [
        ("measured", {}, "measured; n = 40; 95% interval"),
        ("measured", {"split": "test"}, "measured; n = 40; 95% interval; on the test split"),
        ("estimated", {"interval": "95%, of the time", "source": "37 W"}, "estimated; n = 40; 95%, of the time; 37 W"),
        ("predicted", {"interval": "a range", "method": "roofline"}, "predicted; n = 40; a range; roofline"),
        ("measured", {"how": "ratio to the baseline beside it"},
         "measured; n = 40; 95% interval; a quick look beside the original"),
    ],
)  # fmt: skip
def test_what_stands_behind_a_figure(kind: Any, conditions: dict[str, Any], said: str) -> None:
    assert about(Measurement(1.0, "ms", kind, 40, 0.9, 1.1, conditions)) == said


def ms(value: float, kind: Any = "measured", **conditions: Any) -> Measurement:
    return Measurement(value, "ms", kind, 9, value * 0.9, value * 1.1, conditions)


def test_a_speed_up_comes_from_one_run_where_there_was_one() -> None:
    told = speedup(ms(0.2), ms(0.8), {"value": 0.25, "low": 0.24, "high": 0.26})
    assert told is not None
    assert (told.value, told.paired) == (4.0, True)
    assert told.interval == "3.85 to 4.17"
    listed = speedup(ms(0.2, ratio=[0.25, 0.24, 0.26]), ms(0.8))
    assert listed is not None
    assert listed.interval == told.interval


def test_a_quick_look_s_ratio_takes_its_interval_from_the_time() -> None:
    told = speedup(ms(0.2, over_baseline=0.25), ms(0.7))
    assert told is not None
    assert told.value == 4.0
    assert told.interval == "3.64 to 4.44"


def test_without_a_run_in_common_there_is_no_interval_and_the_worse_kind() -> None:
    told = speedup(ms(0.2, "predicted"), ms(0.8))
    assert told is not None
    assert (told.value, told.interval, told.kind) == (4.0, "", "predicted")
    assert speedup(ms(0.2, over_baseline=-1), Measurement(0.0, "ms", "measured")) is None
    assert shrink(Measurement(0.0, "B", "measured"), ms(1.0)) is None


@pytest.mark.parametrize(
    ("low", "high", "sure"), [(1.1, 1.3, True), (0.9, 1.3, False), (0.7, 0.9, True), (1.001, 1.002, False)]
)
def test_a_ratio_is_sure_where_its_interval_leaves_one_out(low: float, high: float, sure: bool) -> None:
    assert Ratio((low + high) / 2, low, high).sure is sure


def test_ratios_in_words() -> None:
    assert [times(x) for x in (1.036, 4.237, 10.09, 123.4)] == ["1.04", "4.2", "10", "123"]
    assert Ratio(4.2).gain("as fast") == "4.2× as fast"
    assert [Ratio(x).gain("less", "more") for x in (4.2, 0.5, 1.0)] == ["4.2× less", "2.0× more", "the same"]
    assert worse_kind("measured", "estimated", "predicted") == "predicted"


def test_one_scale_fits_a_column() -> None:
    assert scale_for("ms", [0.2, 0.3, 4.0]) == Scale(1e-3, "µs")
    assert scale_for("ms", []) == Scale(1.0, "ms")
    assert scale_for("furlongs", [3.0]) == Scale(1.0, "furlongs")
    assert Scale(1e-3, "µs").tick(12.0).replace("\xa0", " ") == "12 000"
