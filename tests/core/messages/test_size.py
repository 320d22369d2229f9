"""A day of telemetry takes at most 1 MB: as it comes with the defaults, and whatever comes with the budget held."""

from __future__ import annotations

import numpy as np
import pytest

from edgewright.core.messages import Collect, Event, Observation, Report, Series, Sync, render
from edgewright.core.messages.observations import fit, merge, size_bytes

DAY_S, MB = 86400, 1_000_000
A = "a" * 64
HEADERS_BYTES = 600
"""Of a request and its answer over a connection that stays open: RFC 9112 heads, TLS records."""


def ordinary(period: int, per_period: int, inputs: int = 0, models: int = 1) -> list[Observation]:
    """What a model that is asked steadily tells: latency of two humps, confidence, agreement, some input columns."""
    found, rng = [], np.random.default_rng(0)
    for at in range(0, DAY_S, period):
        for model in range(models):
            latency = np.concatenate([rng.lognormal(1.5, 0.25, per_period), rng.lognormal(3.5, 0.5, per_period // 50)])
            told = {
                "latency_ms": Series.of(list(latency)),
                "confidence": Series.of(list(rng.beta(9, 1.5, per_period))),
                "margin": Series.of(list(rng.beta(5, 2, per_period))),
            }
            for i in range(inputs):
                told[f"x[{i}]"] = Series.of(list(rng.normal(i, 3, per_period)))
            counters = {"requests": per_period, "errors": 3, "missed": 1, "rows": per_period, "reloads": 0}
            classes = dict(
                zip(["free", "crack", "break", "fray", "uneven", "blowhole"], [9000, 5, 4, 3, 2, 1], strict=True)
            )
            found.append(Observation(f"detector-{model}", A, 1.7e9 + at, float(period), counters, classes, told))
    return found


def day_bytes(observations: list[Observation]) -> int:
    """Reports of a day, one for each time, with an event each, their heads, and a poll every five minutes."""
    times = sorted({one.began_s for one in observations})
    batches = [tuple(one for one in observations if one.began_s == at) for at in times]
    sent = [Report("f3b1c2d4", i, batch, (Event(1.0, "synced"),)) for i, batch in enumerate(batches)]
    polls = DAY_S // 300 * (len(render(Sync(12, "f3b1c2d4"))) + HEADERS_BYTES)
    return sum(len(render(report)) + HEADERS_BYTES for report in sent) + polls


def test_an_ordinary_day_is_well_within() -> None:
    told = day_bytes(ordinary(int(Collect().period_s), 9000))
    assert told < 0.6 * MB, told


def test_a_busy_device_is_held_to_the_budget() -> None:
    """Three models with eight columns each are nearly 3 MB a day; told more coarsely they fit, and nothing is lost."""
    everything = ordinary(900, 2000, inputs=8, models=3)
    assert sum(map(size_bytes, everything)) > 2.5 * MB
    told, dropped = fit(everything, Collect().budget_bytes)
    assert dropped == 0 and sum(map(size_bytes, told)) <= Collect().budget_bytes
    for model in ("detector-0", "detector-2"):
        before, after = ([o for o in some if o.model == model] for some in (everything, told))
        assert merge(after).counters == merge(before).counters
        assert merge(after).series["latency_ms"].sketch == merge(before).series["latency_ms"].sketch
        assert sum(o.seconds for o in after) == DAY_S
    assert len(told) >= 3 * 6  # still every few hours


def test_the_widest_sketches_there_can_be_fit_as_well() -> None:
    wild = [Observation("m", A, 900.0 * i, 900.0, series={f"s{k}": wide() for k in range(20)}) for i in range(24)]
    assert sum(map(size_bytes, wild)) > MB
    told, dropped = fit(wild, MB)
    assert not dropped and sum(map(size_bytes, told)) <= MB


def wide() -> Series:
    values = 1.0202 ** np.arange(1000)
    return Series.of([*values, *-values] * 3)


def test_what_cannot_fit_is_dropped_oldest_first_and_counted() -> None:
    many = [Observation(f"m{i}", A, float(i), 1.0, {"requests": 1}) for i in range(50)]
    told, dropped = fit(many, 20 * size_bytes(many[20]))
    assert dropped == 30 and [o.model for o in told] == [f"m{i}" for i in range(30, 50)]
    assert fit(many, 10**6) == (tuple(many), 0) and fit([], 0) == ((), 0) and fit(many, 0) == ((), 50)


@pytest.mark.parametrize("values", [[], [0.0], [1.0], [-1.0, 1.0], [1e-300, 1e300], [float("nan"), float("inf"), 2.0]])
def test_series_of_odd_numbers_come_back(values: list[float]) -> None:
    one = Observation("m", "", 0.0, 1.0, series={"s": Series.of(values)})
    assert Observation.from_json(one.to_json()) == one
    if not [v for v in values if np.isfinite(v)]:
        with pytest.raises(ValueError, match="needs values"):
            _ = one.series["s"].mean
