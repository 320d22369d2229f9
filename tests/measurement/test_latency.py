"""Interleaved latency: statistics on a fake clock, plumbing on ONNX Runtime. No test depends on speed."""

from __future__ import annotations

import gc
import math
import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from edgewright.core.errors import InputError
from edgewright.core.session import EngineOptions
from edgewright.engines import open_session
from edgewright.measurement import LatencyResult, Plan, faster, measure_latency, quick_latency
from edgewright.measurement.blocks import know_clock
from edgewright.testing.build import Build
from edgewright.testing.clockwork import FakeClock, FakeSession

INPUTS = [{"x": np.array([float(i)], np.float32)} for i in range(4)]
MS = 1_000_000


def noisy(level_ns: float, share: float = 0.02, seed: int = 0):
    """Durations around ``level_ns`` with log-normal noise."""
    rng = np.random.default_rng(seed)
    return lambda call, now: level_ns * rng.lognormal(0, share)


def alone(clock: FakeClock, session: FakeSession, **plan: Any) -> LatencyResult:
    return measure_latency({"one": session}, INPUTS, Plan(**plan), clock=clock)["one"]


@pytest.mark.parametrize("call_ns", [800, 3_000, 20_000, MS, 30 * MS])
@pytest.mark.parametrize("reading_ns", [0, 45])
def test_a_steady_call_is_measured_right_whatever_it_and_the_clock_take(call_ns: int, reading_ns: int):
    clock = FakeClock(reading_ns)
    found = alone(clock, FakeSession(clock, call_ns), budget_s=1.0)
    assert found.p50.value == pytest.approx(call_ns / MS, rel=0.01)
    assert found.p99.value == pytest.approx(call_ns / MS, rel=0.08)
    assert found.p50.value <= found.p95.value <= found.p99.value


def test_the_clock_is_known_by_step_and_cost():
    assert know_clock(FakeClock(0)).cost_ns == 0
    found = know_clock(FakeClock(45))
    assert found.step_ns == 45
    assert found.cost_ns == pytest.approx(45, abs=1)


def test_short_calls_are_read_in_groups_and_their_tails_singly():
    clock = FakeClock(50)
    rng = np.random.default_rng(0)
    session = FakeSession(clock, lambda call, now: 50_000 if rng.random() < 0.02 else 2_000)
    found = alone(clock, session, budget_s=1.0, precision=0)
    assert found.conditions["calls_per_reading"] > 1
    assert found.p50.value == pytest.approx(0.002, rel=0.05)
    assert found.p99.value == pytest.approx(0.05, rel=0.05)


def test_a_drift_of_the_machine_cancels_in_the_ratio():
    clock = FakeClock()

    def drifting(level: float, seed: int):
        rng = np.random.default_rng(seed)
        return lambda call, now: level * (1 + now / 1e9) * rng.lognormal(0, 0.03)

    pair = {"old": FakeSession(clock, drifting(100_000, 1)), "new": FakeSession(clock, drifting(37_000, 2))}
    found = measure_latency(pair, INPUTS, Plan(budget_s=2.0, precision=0), clock=clock)
    assert found["old"].p50.high > 1.2 * 0.1
    ratio = found["new"].ratio
    assert ratio.low <= 0.37 <= ratio.high
    assert ratio.high - ratio.low < 0.01
    assert found["old"].ratio.value == 1


def test_it_stops_when_every_ratio_is_narrow_enough_and_goes_on_when_not():
    def run(precision: float, share: float) -> tuple[int, str]:
        clock = FakeClock()
        pair = {n: FakeSession(clock, noisy(100_000, share, i)) for i, n in enumerate("ab")}
        found = measure_latency(pair, INPUTS, Plan(2.0, precision), clock=clock)["a"]
        return found.conditions["rounds"], found.conditions["ended"]

    quiet, loud, all_of_it = run(0.02, 0.01), run(0.005, 0.3), run(0.0, 0.01)
    assert quiet[1] == "precision"
    assert quiet[0] == 60
    assert all_of_it[1] == "budget"
    assert quiet[0] < loud[0] <= all_of_it[0]


def test_tails_want_their_calls_before_an_early_end():
    clock = FakeClock()
    found = alone(clock, FakeSession(clock, 2 * MS), budget_s=10.0)
    assert found.conditions["ended"] == "precision"
    assert len(found.samples_ms) >= 400


def test_rounds_visit_everyone_once_in_a_seeded_random_order():
    def order(seed: int) -> list[str]:
        clock = FakeClock()
        three = {name: FakeSession(clock, 3 * MS) for name in "abc"}
        measure_latency(three, INPUTS, Plan(1.0, 0.0, seed), clock=clock)
        visits = sorted((start, name) for name, session in three.items() for start in session.starts)
        names = [name for _, name in visits]
        return names[len(names) % 3 + 60 :]

    first, again, other = order(0), order(0), order(1)
    assert first == again
    assert first != other
    counts = {name: first.count(name) for name in "abc"}
    assert max(counts.values()) - min(counts.values()) <= 3


def test_inputs_take_turns():
    clock = FakeClock()
    session = FakeSession(clock, 100_000)
    alone(clock, session, budget_s=0.5)
    counts = [session.seen.count(float(i)) for i in range(len(INPUTS))]
    assert max(counts) - min(counts) <= len(INPUTS) * 20
    assert all(session.seen[i] == (session.seen[0] + i) % 4 for i in range(50))


def test_the_slow_beginning_is_left_to_the_warm_up():
    clock = FakeClock()
    session = FakeSession(clock, lambda call, now: MS * (1 + 4 * math.exp(-call / 8)))
    found = alone(clock, session, budget_s=2.0)
    assert found.conditions["settled"]
    assert found.conditions["warm_up_calls"] >= 20
    assert found.samples_ms.max() < 1.1


def test_a_call_longer_than_the_budget_still_gives_a_figure_without_an_interval():
    clock = FakeClock()
    pair = {"a": FakeSession(clock, 4e9), "b": FakeSession(clock, 2e9)}
    found = measure_latency(pair, INPUTS, Plan(budget_s=0.5), clock=clock)
    made = found["b"].measurements()["latency_ms"]
    assert made.value == pytest.approx(2000)
    assert made.low is None
    assert made.conditions["interval"] == "one run"
    assert found["b"].ratio.value == pytest.approx(0.5)
    assert pair["a"].calls <= 3
    quick = quick_latency(pair["a"], pair["b"], INPUTS, clock=clock)
    assert quick.ratio.n == 3
    assert quick.conditions["interval"] == "range of 3"


def test_two_levels_of_speed_are_named_and_nothing_is_dropped():
    clock = FakeClock()
    session = FakeSession(clock, lambda call, now: 2.4 * MS if (now // 50_000_000) % 2 else 2.0 * MS)
    found = alone(clock, session, budget_s=2.0, precision=0)
    assert found.conditions["two_modes_ms"] == pytest.approx([2.0, 2.4], rel=0.01)
    assert any("two heaps" in note for note in found.conditions["notes"])
    assert len(found.round_ms) == found.conditions["rounds"]


def test_openings_of_one_model_that_differ_are_covered_by_the_interval():
    clock = FakeClock()
    luck = [1.0, 1.02, 0.98, 1.01]
    base = [FakeSession(clock, noisy(100_000 * x, 0.005, i)) for i, x in enumerate(luck)]
    same = [FakeSession(clock, noisy(100_000 * x, 0.005, 9 + i)) for i, x in enumerate(reversed(luck))]
    one = measure_latency({"a": base[0], "b": base[1]}, INPUTS, Plan(1.0, 0.0), clock=clock)["b"].ratio
    many = measure_latency({"a": base, "b": same}, INPUTS, Plan(1.0, 0.0), clock=clock)["b"]
    assert one.low > 1.0  # what a single opening would claim
    assert many.ratio.low < 1.0 < many.ratio.high
    assert many.conditions["openings"] == 4
    calls = [session.calls for session in (*base[2:], *same)]
    assert min(calls) > 0.7 * max(calls)


def test_a_checkpoint_ends_the_run_and_what_was_seen_is_kept():
    clock = FakeClock()
    left = iter([True] * 9 + [False])
    found = measure_latency(
        {"a": FakeSession(clock, MS)}, INPUTS, Plan(60.0, 0.0), clock=clock, checkpoint=lambda: next(left)
    )["a"]
    assert found.conditions["rounds"] == 10
    assert found.conditions["ended"] == "stopped"


def test_an_interrupted_run_leaves_the_process_as_it_was():
    clock = FakeClock()
    before = os.sched_getaffinity(0)

    def interrupt() -> bool:
        assert not gc.isenabled()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        measure_latency({"a": FakeSession(clock, MS)}, INPUTS, clock=clock, checkpoint=interrupt)
    assert gc.isenabled()
    assert os.sched_getaffinity(0) == before


def test_a_run_resumes_where_an_earlier_one_ended():
    clock = FakeClock()
    pair = {"a": FakeSession(clock, MS), "b": FakeSession(clock, MS / 2)}
    first = measure_latency(pair, INPUTS, Plan(0.2, 0.0), clock=clock)
    second = measure_latency(pair, INPUTS, Plan(0.2, 0.0), clock=clock, resume=first)
    assert len(second["a"].visits) > len(first["a"].visits)
    np.testing.assert_array_equal(second["a"].round_ms[: len(first["a"].round_ms)], first["a"].round_ms)
    with pytest.raises(InputError, match="cannot resume"):
        measure_latency({"a": pair["a"]}, INPUTS, clock=clock, resume=first)


@pytest.mark.parametrize(
    ("subjects", "inputs", "baseline", "says"),
    [
        ([], INPUTS, "", "at least one model"),
        ([1], [], "", "no input"),
        ([1], INPUTS, "other", "not among"),
        ([1, 2], INPUTS, "", "same number of threads"),
    ],
)
def test_what_cannot_be_measured_is_refused(
    subjects: Sequence[int], inputs: list[dict[str, Any]], baseline: str, says: str
):
    clock = FakeClock()
    opened = {f"s{i}": FakeSession(clock, MS, threads) for i, threads in enumerate(subjects)}
    with pytest.raises(InputError, match=says):
        measure_latency(opened, inputs, Plan(baseline=baseline), clock=clock)


def test_measurements_carry_unit_kind_ratio_and_subject():
    clock = FakeClock()
    pair = {"a": FakeSession(clock, noisy(MS, 0.01)), "b": FakeSession(clock, noisy(MS / 2, 0.01, 1))}
    found = measure_latency(pair, INPUTS, Plan(1.0), clock=clock)["b"]
    made = found.measurements(subject="abc")
    assert list(made) == ["latency_ms", "latency_p95_ms", "latency_p99_ms"]
    for one in made.values():
        assert (one.unit, one.kind, one.subject, one.target) == ("ms", "measured", "abc", "host")
        assert one.low is not None
        assert one.high is not None
        assert one.low <= one.value <= one.high
    ratio = made["latency_ms"].conditions["ratio"]
    assert ratio[1] <= ratio[0] <= ratio[2]
    told = found.to_json()
    assert len(told["distribution_ms"]) == 101
    assert told["distribution_ms"] == sorted(told["distribution_ms"])


def test_a_quick_look_keeps_to_its_budget_and_finds_the_ratio():
    clock = FakeClock()
    base, candidate = FakeSession(clock, noisy(200_000, 0.02)), FakeSession(clock, noisy(80_000, 0.02, 1))
    found = quick_latency(base, candidate, INPUTS, budget_s=0.3, clock=clock)
    assert clock.now <= 0.35e9
    assert found.ratio.value == pytest.approx(0.4, rel=0.02)


@pytest.mark.parametrize(
    ("first", "second", "margin", "answer"),
    [
        (50_000, 100_000, 0.02, "yes"),
        (100_000, 50_000, 0.02, "no"),
        (100_000, 100_000, 0.02, "no"),
        (99_000, 100_000, 0.02, "no"),
        (95_000, 100_000, 0.02, "yes"),
    ],
)
def test_faster_decides(first: float, second: float, margin: float, answer: str):
    clock = FakeClock()
    a, b = FakeSession(clock, noisy(first, 0.02)), FakeSession(clock, noisy(second, 0.02, 1))
    assert faster(a, b, INPUTS, margin=margin, clock=clock) == answer


def test_faster_is_unclear_on_the_very_edge_and_rarely_wrong():
    answers = []
    for seed in range(30):
        clock = FakeClock()
        a = FakeSession(clock, noisy(98_000, 0.05, seed))
        b = FakeSession(clock, noisy(100_000, 0.05, 1000 + seed))
        answers.append(faster(a, b, INPUTS, margin=0.02, budget_s=0.15, clock=clock))
    assert answers.count("unclear") >= 26


def small_model():
    build = Build()
    x = build.input("x", [1, 16])
    build.output(build.node("Relu", build.node("MatMul", x, build.weight(16, 16))), [1, 16])
    return build.model()


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_real_sessions_are_measured_and_their_options_recorded(engine: str):
    inputs = [{"x": np.full((1, 16), float(i), np.float32)} for i in range(3)]
    model, before = small_model(), os.sched_getaffinity(0)
    with open_session(model, engine) as a, open_session(model, engine) as b:
        found = measure_latency({"a": a, "b": b}, inputs, Plan(budget_s=0.2))
    assert os.sched_getaffinity(0) == before
    assert gc.isenabled()
    for one in found.values():
        assert 0 < one.p50.value <= one.p95.value <= one.p99.value
        told = one.conditions
        assert (told["threads"], told["spinning"], told["precision"]) == (1, False, "f32")
        assert told["rounds"] == len(one.visits) >= 1
        assert told["inputs"] == 3


def test_sessions_of_unequal_threads_are_refused():
    model = small_model()
    with (
        open_session(model) as a,
        open_session(model, options=EngineOptions(threads=2)) as b,
        pytest.raises(InputError, match="same number of threads"),
    ):
        measure_latency({"a": a, "b": b}, [{"x": np.zeros((1, 16), np.float32)}])
