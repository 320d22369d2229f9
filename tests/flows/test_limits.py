"""Limits: what makes sense becomes a constraint with a unit; the rest is told at once."""

import math

import numpy as np
import pytest

from edgewright.core.errors import InputError
from edgewright.flows.limits import KEPT_ACCURACY, Limits
from edgewright.flows.settings import Settings, settle

NAMES = ("latency_ms", "size_mb", "memory_mb", "energy_mj", "accuracy_drop")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("value", [-1.0, -1e-300, math.nan, math.inf, -math.inf])
def test_a_limit_nothing_can_meet_or_miss_is_refused(name, value):
    with pytest.raises(InputError, match=f"limit {name}=.*leave it out"):
        Limits(**{name: value})


@pytest.mark.parametrize("name", NAMES[:-1])
def test_nothing_takes_no_time_and_no_room(name):
    with pytest.raises(InputError, match="can never be met"):
        Limits(**{name: 0})
    assert Limits(**{name: 1e-9})


@pytest.mark.parametrize("value", ["2", b"2", True, [2], 2j])
def test_a_limit_is_a_number(value):
    with pytest.raises(InputError, match="must be a number"):
        Limits(latency_ms=value)


@pytest.mark.parametrize("value", [2, 2.0, np.float32(2), np.int64(2)])
def test_any_kind_of_number_will_do(value):
    (latency, _) = Limits(latency_ms=value).constraints(90.0, "points")
    assert type(latency.limit) is float and latency.limit == 2.0


def test_no_drop_at_all_may_be_asked_for():
    (drop,) = Limits(accuracy_drop=0).constraints(90.0, "points")
    assert (drop.limit, drop.slack(0.0)) == (0.0, 0.0)


def test_the_constraints_have_units_and_megabytes_are_millions():
    made = Limits(1.5, 2.0, 3.0, 4.0, 0.5).constraints(90.0, "points")
    assert [str(c) for c in made] == [
        "latency_ms <= 1.5 ms", "size_bytes <= 2e+06 B", "ram_bytes <= 3e+06 B", "energy_mj <= 4 mJ",
        "accuracy_drop <= 0.5 points",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("accuracy", "higher", "drop"),
    [
        (90.0, True, 4.5),
        (0.8, True, 0.04),
        (2.0, False, 2.0 / KEPT_ACCURACY - 2.0),
        (-0.5, True, 0.025),
        (0.0, True, 0.0),
    ],
)
def test_without_a_word_about_accuracy_95_percent_of_it_is_kept(accuracy, higher, drop):
    (made,) = Limits().constraints(accuracy, "points", higher_is_better=higher)
    assert (made.metric, made.limit) == ("accuracy_drop", pytest.approx(drop))


def test_an_unknown_option_says_what_there_is():
    with pytest.raises(InputError, match="optimize takes no 'max_colour'; it takes: max_latency_ms, "):
        settle(None, {"max_colour": 3})
    chosen, limits = settle(Settings(seed=3), {"max_latency_ms": 2, "threads": 2})
    assert (chosen.seed, chosen.threads, limits.latency_ms) == (3, 2, 2.0)


@pytest.mark.parametrize(
    "options",
    [
        {"budget_s": 0}, {"budget_s": math.nan}, {"budget_s": "5m"}, {"threads": 0}, {"threads": 1.5},
        {"threads": 10**6},
        {"seed": -1}, {"seed": 0.5}, {"seed": 2**63}, {"engines": ("abacus",)}, {"engines": "onnxruntime"},
    ],
)  # fmt: skip
def test_settings_that_make_no_sense(options):
    with pytest.raises(InputError):
        Settings(**options)
