"""Throughput in bursts and latency under continuous load."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgewright.core.errors import EngineError, InputError
from edgewright.engines import open_session
from edgewright.measurement.sustained import measure_sustained
from edgewright.measurement.throughput import measure_throughput
from edgewright.testing.build import Build
from edgewright.testing.clockwork import FakeClock, FakeSession

MS = 1_000_000
INPUTS = [{"x": np.zeros(1, np.float32)}]


def relu(batch: int | str = 1):
    build = Build()
    x = build.input("x", [batch, 8])
    build.output(build.node("Relu", x), [batch, 8])
    return build.model()


def test_throughput_is_answers_a_second_and_ratios_are_paired():
    clock = FakeClock()
    rng = np.random.default_rng(0)

    def drifting(level: float):
        return lambda call, now: level * (1 + now / 40e9) * rng.lognormal(0, 0.05)

    pair = {"a": [FakeSession(clock, drifting(MS))], "b": [FakeSession(clock, drifting(MS / 4))]}
    found = measure_throughput(pair, INPUTS, duration_s=4.0, clock=clock)
    assert found["a"].per_s.value == pytest.approx(950, rel=0.05)
    ratio = found["b"].ratio
    assert ratio is not None
    assert ratio.low <= 4.0 <= ratio.high
    made = found["b"].measurement(subject="abc")
    assert (made.unit, made.kind, made.subject) == ("1/s", "measured", "abc")
    assert made.conditions["streams"] == 1


def test_a_batch_counts_as_its_samples():
    clock = FakeClock()
    four = [{"x": np.zeros((4, 1), np.float32)}]
    session = FakeSession(clock, 2 * MS)
    session.infer = lambda inputs: clock.__setattr__("now", clock.now + 2 * MS) or {}  # type: ignore[method-assign]
    found = measure_throughput({"a": [session]}, four, duration_s=0.5, clock=clock)["a"]
    assert found.per_s.value == pytest.approx(2000, rel=0.01)
    assert found.conditions["batch"] == 4


def test_few_bursts_have_a_range_and_say_so():
    clock = FakeClock()
    found = measure_throughput({"a": [FakeSession(clock, MS)]}, INPUTS, duration_s=0.3, clock=clock)["a"]
    assert found.measurement().conditions["interval"] == "range of 3"


def test_streams_of_real_sessions_run_at_once():
    with open_session(relu()) as a, open_session(relu()) as b:
        found = measure_throughput(
            {"two": [a, b]}, [{"x": np.zeros((1, 8), np.float32)}], duration_s=0.2, burst_s=0.05
        )["two"]  # fmt: skip
    assert found.per_s.value > 0
    assert found.conditions["streams"] == 2


def test_a_failing_stream_is_an_error_and_not_a_hang():
    with open_session(relu()) as a, open_session(relu()) as b:
        calls = iter(range(3))

        def failing(inputs: object) -> dict[str, object]:
            if next(calls, None) is None:
                raise EngineError("the run failed")
            return {}

        b.infer = failing  # type: ignore[method-assign,assignment]
        with pytest.raises(EngineError, match="the run failed"):
            measure_throughput({"two": [a, b]}, [{"x": np.zeros((1, 8), np.float32)}], duration_s=0.1, burst_s=0.02)


@pytest.mark.parametrize(
    ("streams", "inputs", "says"),
    [([], INPUTS, "at least one model"), ([1], [], "one input"), ([1, 2], INPUTS, "same number of streams")],
)
def test_what_cannot_be_measured_is_refused(streams: list[int], inputs: list[dict[str, np.ndarray]], says: str):
    clock = FakeClock()
    opened = {f"s{i}": [FakeSession(clock, MS)] * n for i, n in enumerate(streams)}
    with pytest.raises(InputError, match=says):
        measure_throughput(opened, inputs, clock=clock)


def test_heat_that_slows_is_found_with_its_trend():
    clock = FakeClock()
    rng = np.random.default_rng(0)
    session = FakeSession(clock, lambda call, now: MS * (1 + 0.5 * min(now / 10e9, 1)) * rng.lognormal(0, 0.02))
    found = measure_sustained(session, INPUTS, duration_s=10.0, clock=clock)
    assert found.cold.value == pytest.approx(1.03, rel=0.03)
    assert found.hot.value == pytest.approx(1.44, rel=0.03)
    assert found.slowdown.low > 1.3
    assert found.trend_per_minute is not None
    assert found.trend_per_minute.low > 2
    made = found.measurement()
    assert made.value == found.hot.value
    assert made.conditions["cold_ms"] == pytest.approx(found.cold.value, rel=1e-3)
    assert len(found.seconds) == len(found.visit_ms)


def test_a_machine_that_stays_cool_shows_no_slowdown():
    calm = 0
    for seed in range(12):
        clock, rng = FakeClock(), np.random.default_rng(seed)
        steady = FakeSession(clock, lambda call, now, rng=rng: MS * rng.lognormal(0, 0.02))  # type: ignore[misc]
        found = measure_sustained(steady, INPUTS, duration_s=1.5, clock=clock)
        assert found.trend_per_minute is not None
        trend, slowdown = found.trend_per_minute, found.slowdown
        calm += trend.low <= 0 <= trend.high and slowdown.low <= 1 <= slowdown.high
    assert calm >= 9


def test_a_short_or_stopped_load_still_gives_a_figure_without_a_trend():
    clock = FakeClock()
    found = measure_sustained(FakeSession(clock, 400 * MS), INPUTS, duration_s=1.0, clock=clock)
    assert found.trend_per_minute is None
    assert found.measurement().low is None
    stopped = measure_sustained(FakeSession(clock, MS), INPUTS, clock=clock, checkpoint=lambda: False)
    assert len(stopped.visit_ms) == 1
    with pytest.raises(InputError, match="no input"):
        measure_sustained(FakeSession(clock, MS), [], clock=clock)


def test_temperature_and_clock_are_noted_where_the_system_tells(tmp_path: Path):
    zone = tmp_path / "sys/class/thermal/thermal_zone0"
    zone.mkdir(parents=True)
    (zone / "temp").write_text("61500\n")
    cpu = tmp_path / "sys/devices/system/cpu/cpu0/cpufreq"
    cpu.mkdir(parents=True)
    (cpu / "scaling_cur_freq").write_text("2400000\n")
    clock = FakeClock()
    found = measure_sustained(FakeSession(clock, MS), INPUTS, duration_s=0.1, clock=clock, root=tmp_path)
    assert found.conditions["heat"]["end"] == {"celsius": 61.5, "mhz": 2400.0}
