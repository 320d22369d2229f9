"""Latency of several subjects side by side, in one interleaved run.

Each round visits every subject once for a few milliseconds, in a seeded random order and then in its reverse. What the
machine does to one it does to its neighbours in time, so that the ratio of two visits of a round holds where absolute
times do not (Kalibera, Jones, "Rigorous benchmarking in reasonable time", ISMM 2013, on repetition and independence;
Chen, Revels, "Robust benchmarking in noisy environments", 2016, on blocks). Rounds go on until the ratios are known
well enough or the time is spent: the stop looks at widths only, never at which side won, so it favours nobody.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgewright.core.errors import InputError
from edgewright.core.measurement import Measurement
from edgewright.core.session import Arrays, Session
from edgewright.core.statistics import Interval
from edgewright.measurement.blocks import Clock, Floats, Runner, Visit, know_clock
from edgewright.measurement.conditions import disturbance, interpreter_note, read_counters, session_conditions
from edgewright.measurement.intervals import (
    FEWEST,
    between_openings,
    clustered_quantile,
    interval_note,
    median_of,
    median_ratio,
    paired_ratio,
    two_modes,
    widen,
)
from edgewright.measurement.quiet import Pin, no_collector

Checkpoint = Callable[[], bool | None]
"""Asked between rounds; False ends the run, and what was measured until then is kept. It may also raise."""


@dataclass(frozen=True)
class Plan:
    """How long and how well to measure.

    ``budget_s``: all subjects together, warm-up included. ``precision``: the wanted half width of each ratio to the
    ``baseline`` ("" for the first subject), as a share; 0 to use the whole budget. ``rounds`` and ``tail_calls``
    (singly timed) are wanted before the run may end early; ``least`` rounds are run whatever the budget. ``block_ms``:
    how long one visit lasts.
    """

    budget_s: float = 5.0
    precision: float = 0.02
    seed: int = 0
    baseline: str = ""
    rounds: int = 60
    least: int = 1
    tail_calls: int = 400
    block_ms: float = 2.0


@dataclass(frozen=True, eq=False)
class LatencyResult:
    """One subject of an interleaved run. Times in ms.

    ``ratio`` is this subject's time over the baseline's, from the same rounds. Under six rounds there is no interval of
    95%: its ends are then the extremes seen, and ``conditions["interval"]`` says so. ``round_ms`` (rounds,) holds the
    median of each visit and ``visits`` the raw samples; ``conditions`` the rest.
    """

    name: str
    p50: Interval
    p95: Interval
    p99: Interval
    ratio: Interval
    round_ms: NDArray[np.float64]
    visits: tuple[Visit, ...] = field(repr=False)
    conditions: Mapping[str, Any] = field(repr=False)

    @property
    def samples_ms(self) -> Floats:
        """Every singly timed call, in order."""
        return np.concatenate([visit.single_ms for visit in self.visits])

    def distribution(self, points: int = 101) -> list[float]:
        """Evenly spaced quantiles of single calls from the fastest to the slowest: compact, for a plot."""
        return [float(f"{x:.5g}") for x in np.quantile(self.samples_ms, np.linspace(0, 1, points))]

    def measurements(self, subject: str = "", target: str = "host") -> dict[str, Measurement]:
        """``latency_ms``, ``latency_p95_ms`` and ``latency_p99_ms`` with the ratio among the conditions."""
        ratio = [float(f"{x:.5g}") for x in (self.ratio.value, self.ratio.low, self.ratio.high)]
        shared = {**self.conditions, "ratio": ratio}

        def made(found: Interval) -> Measurement:
            known = len(self.visits) >= FEWEST
            low, high = (found.low, found.high) if known else (None, None)
            return Measurement(found.value, "ms", "measured", found.n, low, high, shared, target, subject)

        return {"latency_ms": made(self.p50), "latency_p95_ms": made(self.p95), "latency_p99_ms": made(self.p99)}

    def to_json(self) -> dict[str, Any]:
        """A compact JSON value: figures, distribution and conditions, without the raw samples."""

        def plain(found: Interval) -> dict[str, float | int]:
            return {"value": found.value, "low": found.low, "high": found.high, "n": found.n}

        return {
            "name": self.name,
            **{key: plain(getattr(self, key)) for key in ("p50", "p95", "p99")},
            "ratio": plain(self.ratio),
            "rounds": len(self.visits),
            "distribution_ms": self.distribution(),
            "conditions": dict(self.conditions),
        }


def measure_latency(
    subjects: Mapping[str, Session | Sequence[Session]],
    inputs: Sequence[Arrays],
    plan: Plan | None = None,
    *,
    clock: Clock = time.perf_counter_ns,
    checkpoint: Checkpoint | None = None,
    resume: Mapping[str, LatencyResult] | None = None,
) -> dict[str, LatencyResult]:
    """Latency of every subject with intervals, and its ratio to the baseline's.

    A subject is a session, or several openings of the same model: an opening may be a percent faster or slower for as
    long as it lives (where its memory happens to lie), which only other openings can tell; intervals then cover it.
    ``inputs`` are whole requests, fed in rotation. All sessions must have been opened with the same number of threads.
    ``resume`` takes the results of an earlier call with the same subjects and adds to them. Disturbed rounds are
    counted and named in ``conditions``; none is left out. At least one round is run, whatever the budget.

    Raises InputError for no subject, no input, an unknown baseline, unequal threads, or a resume of other subjects.
    """
    plan = plan or Plan()
    opened = {name: tuple(s) if isinstance(s, Sequence) else (s,) for name, s in subjects.items()}
    baseline, threads = _check(opened, inputs, plan, resume)
    begin = clock()
    budget_ns = plan.budget_s * 1e9
    tick = know_clock(clock)
    runners = {name: Runner(sessions, inputs, clock, tick) for name, sessions in opened.items()}
    visits: dict[str, list[Visit]] = {name: list(resume[name].visits) if resume else [] for name in opened}
    rng = np.random.default_rng([plan.seed, len(visits[baseline])])
    names = list(opened)
    order = rng.permutation(len(names))
    ended = "budget"
    before = read_counters()
    with no_collector():
        for runner in runners.values():
            runner.warm_up(0.2 * budget_ns / len(names))
        _size(runners, plan, budget_ns - (clock() - begin), threads)
        # Pinned only now: while it was busy, the scheduler has moved this thread to the emptiest core.
        with Pin(threads) as pin:
            cpus = pin.cpus
            look = max(plan.rounds, len(visits[baseline]) + 1)
            while True:
                done = len(visits[baseline])
                # Every second round turns the order of the one before, so that a steady drift favours nobody.
                order = order[::-1] if done % 2 else rng.permutation(len(names))
                for i in order:
                    # The baseline's openings turn once for every turn of the others', so that all pairs meet.
                    turn = done // len(opened[names[i]]) if names[i] == baseline else done
                    visits[names[i]].append(runners[names[i]].visit(turn))
                if checkpoint is not None and checkpoint() is False:
                    ended = "stopped"
                    break
                if clock() - begin >= budget_ns and done + 1 >= plan.least:
                    break
                if len(visits[baseline]) >= look:
                    if _known(visits, baseline, plan):
                        ended = "precision"
                        break
                    look = math.ceil(look * 1.25)
                    _size(runners, plan, budget_ns, threads)
                    _move_on(pin, visits[baseline])
    after = read_counters()
    rounds = [sum(v[i].preemptions for v in visits.values()) for i in range(len(visits[baseline]))]
    shared = disturbance(before, after, rounds) | {
        "ended": ended,
        "clock_ns": round(tick.step_ns),
        "pinned": list(cpus),
    }
    if note := interpreter_note():
        shared["notes"] = [*shared.get("notes", []), note]
    results = {}
    for name, sessions in opened.items():
        runner = runners[name]
        told = {
            "baseline": baseline, "openings": len(sessions), "inputs": len(inputs), "rounds": len(rounds),
            "calls_per_visit": runner.calls, "calls_per_reading": runner.group, "warm_up_calls": runner.warm_calls,
            "settled": runner.settled,
        }  # fmt: skip
        own = session_conditions(sessions[0]) | told | shared
        results[name] = _result(name, visits[name], visits[baseline], own, threads, is_base=name == baseline)
    return results


def _check(
    subjects: Mapping[str, Sequence[Session]],
    inputs: Sequence[Arrays],
    plan: Plan,
    resume: Mapping[str, LatencyResult] | None,
) -> tuple[str, int]:
    """The baseline's name and the number of threads."""
    if not subjects or not all(subjects.values()):
        raise InputError("there is nothing to measure; give at least one model")
    if not inputs:
        raise InputError("there is no input to measure with; give data with at least one sample")
    baseline = plan.baseline or next(iter(subjects))
    if baseline not in subjects:
        raise InputError(f"the baseline {baseline!r} is not among {', '.join(subjects)}")
    told = {name: s.options.threads for name, sessions in subjects.items() for s in sessions if hasattr(s, "options")}
    if len(set(told.values())) > 1:
        listed = ", ".join(f"{name}: {n}" for name, n in told.items())
        raise InputError(f"subjects must run on the same number of threads to be compared ({listed}); open them alike")
    if resume is not None and resume.keys() != subjects.keys():
        raise InputError(f"cannot resume {sorted(resume)} with {sorted(subjects)}; measure afresh")
    return baseline, next(iter(told.values()), 1)


def _size(runners: Mapping[str, Runner], plan: Plan, left_ns: float, threads: int) -> None:
    """Blocks short enough for some twenty rounds in what is left, and never longer than asked."""
    block = min(plan.block_ms * 1e6, max(left_ns, 0.0) / len(runners) / 20)
    for runner in runners.values():
        runner.size_blocks(block, threads)


def _typical(visits: Sequence[Visit]) -> NDArray[np.float64]:
    """One robust figure per visit: the median over its groups of calls."""
    return np.array([np.median(visit.typical_ms) for visit in visits], np.float64)


def _known(visits: Mapping[str, Sequence[Visit]], baseline: str, plan: Plan) -> bool:
    """Whether every ratio (the baseline's own level, when it is alone) is as narrow as wanted, and tails are fed."""
    if min(sum(len(v.single_ms) for v in seen) for seen in visits.values()) < plan.tail_calls:
        return False
    base = _typical(visits[baseline])
    others = [_typical(seen) for name, seen in visits.items() if name != baseline]
    found = [median_ratio(x, base) for x in others] or [median_ratio(base, np.full_like(base, np.median(base)))]
    return all((x.high - x.low) / 2 <= plan.precision * x.value for x in found)


def _move_on(pin: Pin, visits: Sequence[Visit]) -> None:
    """When the pinned core is being shared with another busy process, let the scheduler find us a better one."""
    recent = visits[-8:]
    if pin.cpus and sum(1 for v in recent if v.preemptions) > len(recent) // 2:
        pin.release()
        pin.hold()


def _result(
    name: str, visits: Sequence[Visit], base: Sequence[Visit], told: dict[str, Any], threads: int, *, is_base: bool
) -> LatencyResult:
    mine, theirs = _typical(visits), _typical(base)
    spread = _openings(visits, mine)
    p50 = widen(clustered_quantile([v.typical_ms for v in visits], 0.5), [spread])
    p95, p99 = (_at_least(clustered_quantile([v.single_ms for v in visits], q), p50.value) for q in (0.95, 0.99))
    p99 = _at_least(p99, p95.value)
    if is_base:
        ratio = Interval(1.0, 1.0, 1.0, len(visits))
    elif len(visits) < FEWEST:
        ratio = median_of(mine / theirs)
    else:
        ratio = widen(paired_ratio(mine, theirs), [spread, _openings(base, theirs)])
    notes = list(told.get("notes", []))
    told |= interval_note(len(visits))
    if modes := two_modes(mine):
        told["two_modes_ms"] = [float(f"{x:.4g}") for x in modes]
        notes.append(f"times fall into two heaps, around {modes[0]:.3g} and {modes[1]:.3g} ms")
    cores = sum(v.cores * v.wall_ns for v in visits) / max(sum(v.wall_ns for v in visits), 1)
    told["cores_used"] = round(cores, 2)
    if cores > threads * 1.25 + 0.25:
        notes.append(f"the engine used {cores:.1f} cores where {threads} were asked for")
    if notes:
        told["notes"] = notes
    return LatencyResult(name, p50, p95, p99, ratio, mine, tuple(visits), told)


def _openings(visits: Sequence[Visit], typical: NDArray[np.float64]) -> tuple[float, int]:
    """How much openings differ, as ``between_openings`` tells it."""
    which = np.array([visit.opening for visit in visits])
    return between_openings([np.log(typical[which == k]) for k in np.unique(which)])


def _at_least(found: Interval, floor: float) -> Interval:
    """Tails and the middle come from different readings when calls are short; keep them in order."""
    return replace(found, value=max(found.value, floor), high=max(found.high, floor))
