"""One subject's calls, timed in visits: how long a call takes without the clock's own cost in it.

A call much longer than a reading of the clock is timed by itself. A shorter one is timed in small groups, so that the
clock's cost and resolution stay below half a percent, and in a part of each visit singly, for the tails.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgewright.core.session import Arrays, Session
from edgewright.measurement.conditions import preemptions

Clock = Callable[[], int]
Floats = NDArray[np.floating[Any]]

_GRAIN = 200
"""A timed group lasts at least this many times the clock's resolution and cost: an error of at most half a percent."""
_MOST_CALLS = 4096
_MOST_SINGLES = 256


@dataclass(frozen=True)
class Tick:
    """What the clock itself does: its smallest step and what reading and storing it adds to a call, in ns."""

    step_ns: float
    cost_ns: float


def know_clock(clock: Clock) -> Tick:
    """Measure the clock. A clock that stands still between readings (a test's) costs nothing."""
    steps = []
    last = clock()
    for _ in range(2000):
        now = clock()
        if now > last:
            steps.append(now - last)
        last = now
    step = float(min(steps, default=1))

    def nothing(_: Arrays) -> None:
        return None

    sequence: list[Any] = [None] * 256
    plain = min(_plain(nothing, sequence, clock) for _ in range(8)) / len(sequence)
    timed = min(int(_each(nothing, sequence, clock).sum()) for _ in range(8)) / len(sequence)
    # The step seen between two readings includes the reading's own cost; the resolution cannot be coarser than it.
    return Tick(step, max(timed - plain, 0.0))


def _plain(infer: Callable[[Any], Any], sequence: Sequence[Any], clock: Clock) -> int:
    start = clock()
    for arrays in sequence:
        kept = infer(arrays)
    end = clock()
    del kept
    return end - start


def _each(infer: Callable[[Any], Any], sequence: Sequence[Any], clock: Clock) -> NDArray[np.int64]:
    """Nanoseconds of each call. ``kept`` lives until the next answer is there, as in a server."""
    stamps = [0] * (len(sequence) + 1)
    stamps[0] = clock()
    for i, arrays in enumerate(sequence, 1):
        kept = infer(arrays)
        stamps[i] = clock()
    del kept
    return _between(stamps)


def _groups(infer: Callable[[Any], Any], sequence: Sequence[Any], size: int, clock: Clock) -> NDArray[np.int64]:
    """Nanoseconds of each group of ``size`` calls."""
    parts = [sequence[start : start + size] for start in range(0, len(sequence), size)]
    stamps = [0] * (len(parts) + 1)
    stamps[0] = clock()
    for i, part in enumerate(parts, 1):
        for arrays in part:
            kept = infer(arrays)
        stamps[i] = clock()
    del kept
    return _between(stamps)


def _between(stamps: list[int]) -> NDArray[np.int64]:
    readings = np.array(stamps, np.int64)
    return readings[1:] - readings[:-1]


@dataclass(frozen=True, eq=False)
class Visit:
    """What one visit saw. ``typical_ms`` (groups,): time per call over small groups; ``single_ms`` (calls,): of single
    calls; the same array where calls are long. ``cores``: CPU time of the whole process over wall time. ``opening``:
    which of the subject's sessions answered."""

    typical_ms: Floats
    single_ms: Floats
    wall_ns: int
    cores: float
    preemptions: int
    opening: int = 0


class Runner:
    """A subject's sessions with inputs in rotation: ``warm_up``, then ``size_blocks``, then ``visit`` again and again.

    Several sessions are openings of one model with one set of options.
    """

    def __init__(self, sessions: Sequence[Session], inputs: Sequence[Arrays], clock: Clock, tick: Tick) -> None:
        self._infers = [session.infer for session in sessions]
        self._inputs, self._clock, self._tick = list(inputs), clock, tick
        self._at = 0
        self.call_ns = 0.0
        self.calls, self.group, self.lead, self.singles = 1, 1, 0, 0
        self.warm_calls, self.settled = 0, False

    def _take(self, count: int) -> list[Arrays]:
        """The next ``count`` inputs in turn."""
        k, at = len(self._inputs), self._at
        self._at = (at + count) % k
        return [self._inputs[(at + i) % k] for i in range(count)]

    def warm_up(self, limit_ns: float) -> None:
        """Run every opening until its calls stop getting faster, for at most ``limit_ns`` (one call of each at least).

        Settled: two neighbouring windows of some 2 ms or three calls agree within 3%, near the fastest window seen.
        """
        settled = [self._warm(infer, limit_ns / len(self._infers)) for infer in self._infers]
        self.settled = all(settled)

    def _warm(self, infer: Callable[[Arrays], Any], limit_ns: float) -> bool:
        clock, start = self._clock, self._clock()
        first = _plain(infer, self._take(1), clock)
        self.warm_calls += 1
        self.call_ns = max(float(first), 1.0)
        windows: list[float] = []
        while clock() - start < limit_ns:
            count = min(max(3, int(2e6 / self.call_ns)), _MOST_CALLS)
            count = max(1, min(count, int((limit_ns - (clock() - start)) / self.call_ns)))
            windows.append(float(np.median(_each(infer, self._take(count), clock))))
            self.warm_calls += count
            self.call_ns = max(min(windows) - self._tick.cost_ns, 1.0)
            near = windows[-1] <= 1.05 * min(windows)
            # A clock that rises or a branch predictor that learns takes its time, however short the calls.
            long_enough = clock() - start >= min(20e6, limit_ns / 2)
            if len(windows) >= 3 and long_enough and near and abs(windows[-1] / windows[-2] - 1) <= 0.03:
                return True
        return False

    def size_blocks(self, block_ns: float, threads: int) -> None:
        """Choose how many calls a visit makes from what a call took so far."""
        grain = _GRAIN * max(self._tick.step_ns, self._tick.cost_ns)
        block_ns = max(block_ns, 5 * grain)
        self.group = max(1, int(np.ceil(grain / self.call_ns)))
        share = 1.0 if self.group == 1 else 0.75
        self.calls = int(min(max(block_ns * share / self.call_ns, 1), _MOST_CALLS))
        self.calls = max(self.group, self.calls // self.group * self.group)
        self.singles = 0 if self.group == 1 else int(min(max(block_ns * 0.25 / self.call_ns, 1), _MOST_SINGLES))
        # Untimed calls that bring this subject's weights back into the caches and wake its threads.
        wake_ns = 1e5 if threads == 1 else 1e6
        self.lead = 0 if self.call_ns > 5e6 else min(int(np.ceil(wake_ns / self.call_ns)), _MOST_CALLS)

    def visit(self, turn: int = 0) -> Visit:
        """One visit to the opening whose ``turn`` it is: untimed calls first, then the timed ones."""
        opening = turn % len(self._infers)
        infer = self._infers[opening]
        if self.lead:
            _plain(infer, self._take(self.lead), self._clock)
        sequence, extra = self._take(self.calls), self._take(self.singles)
        lost, cpu, wall = preemptions(), time.process_time_ns(), time.perf_counter_ns()
        cost = self._tick.cost_ns
        if self.group == 1:
            single = typical = np.maximum(_each(infer, sequence, self._clock) - cost, 1.0) / 1e6
        else:
            typical = np.maximum(_groups(infer, sequence, self.group, self._clock) - cost, 1.0)
            typical = typical / self.group / 1e6
            single = np.maximum(_each(infer, extra, self._clock) - cost, 1.0) / 1e6
        real = max(time.perf_counter_ns() - wall, 1)
        self.call_ns += 0.1 * (float(np.median(typical)) * 1e6 - self.call_ns)
        return Visit(
            typical.astype(np.float32),
            single.astype(np.float32),
            real,
            (time.process_time_ns() - cpu) / real,
            preemptions() - lost,
            opening,
        )
