"""Throughput: answers a second with several requests under way at once, subjects in interleaved bursts."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Barrier
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgewright.core.errors import InputError
from edgewright.core.measurement import Measurement
from edgewright.core.session import Arrays, Session
from edgewright.core.statistics import Interval
from edgewright.measurement.blocks import Clock
from edgewright.measurement.conditions import disturbance, read_counters, session_conditions
from edgewright.measurement.intervals import interval_note, median_of, paired_ratio
from edgewright.measurement.latency import Checkpoint
from edgewright.measurement.quiet import Pin, no_collector
from edgewright.measurement.subject import batch_of


@dataclass(frozen=True, eq=False)
class ThroughputResult:
    """``per_s``: samples a second, median over bursts. ``ratio``: over the first subject's, from the same rounds."""

    per_s: Interval
    ratio: Interval | None
    bursts: NDArray[np.float64]
    conditions: Mapping[str, Any] = field(repr=False)

    def measurement(self, subject: str = "", target: str = "host") -> Measurement:
        """``throughput_per_s``."""
        shared = dict(self.conditions) | interval_note(self.per_s.n)
        if self.ratio is not None:
            shared["ratio"] = [float(f"{x:.5g}") for x in (self.ratio.value, self.ratio.low, self.ratio.high)]
        found = self.per_s
        return Measurement(found.value, "1/s", "measured", found.n, found.low, found.high, shared, target, subject)


def measure_throughput(
    subjects: Mapping[str, Sequence[Session]],
    inputs: Sequence[Arrays],
    *,
    duration_s: float = 2.0,
    burst_s: float = 0.1,
    seed: int = 0,
    clock: Clock = time.perf_counter_ns,
    checkpoint: Checkpoint | None = None,
) -> dict[str, ThroughputResult]:
    """Samples a second of every subject, with as many streams as it has sessions (one session a stream).

    All subjects must have the same number of streams. Each stream sends its next request when the last was answered
    (a closed loop). A request that holds a batch counts as that many samples. ``duration_s`` is for all subjects
    together; one round is always run. Raises InputError for no subject, no input or unequal streams.
    """
    if not subjects or not inputs:
        raise InputError("throughput needs at least one model and one input")
    streams = {len(sessions) for sessions in subjects.values()}
    if len(streams) != 1 or 0 in streams:
        raise InputError("every subject needs the same number of streams to be compared; open as many sessions of each")
    count = streams.pop()
    names, bursts = list(subjects), {name: list[float]() for name in subjects}
    rng = np.random.default_rng(seed)
    samples = batch_of(inputs)
    threads = sum(getattr(getattr(s, "options", None), "threads", 1) for s in subjects[names[0]])
    before, begin = read_counters(), clock()
    with no_collector(), ThreadPoolExecutor(max_workers=count) as pool:
        for sessions in subjects.values():
            for session in sessions:
                session.infer(inputs[0])
        with Pin(threads) as pin:
            cpus = list(pin.cpus)
            order = rng.permutation(len(names))
            while True:
                order = order[::-1] if len(bursts[names[0]]) % 2 else rng.permutation(len(names))
                for i in order:
                    rate = _burst(subjects[names[i]], inputs, burst_s, pool, clock)
                    bursts[names[i]].append(rate * samples)
                if clock() - begin >= duration_s * 1e9 or (checkpoint is not None and checkpoint() is False):
                    break
    shared = disturbance(before, read_counters())
    shared |= {"streams": count, "batch": samples, "bursts": len(bursts[names[0]]), "pinned": cpus}
    first = np.array(bursts[names[0]])
    results = {}
    for name, rates in bursts.items():
        ratio = paired_ratio(np.array(rates), first) if len(rates) > 1 and name != names[0] else None
        told = session_conditions(subjects[name][0]) | shared
        results[name] = ThroughputResult(median_of(rates), ratio, np.array(rates), told)
    return results


def _burst(
    sessions: Sequence[Session], inputs: Sequence[Arrays], burst_s: float, pool: ThreadPoolExecutor, clock: Clock
) -> float:
    """Requests a second over one burst: the sum of what each stream answered in the time it took."""
    limit = int(burst_s * 1e9)
    if len(sessions) == 1:
        return _stream(sessions[0], inputs, 0, limit, None, clock)
    start = Barrier(len(sessions))
    running = [pool.submit(_stream, s, inputs, i, limit, start, clock) for i, s in enumerate(sessions)]
    return sum(each.result() for each in running)


def _stream(
    session: Session, inputs: Sequence[Arrays], at: int, limit: int, start: Barrier | None, clock: Clock
) -> float:
    infer, k = session.infer, len(inputs)
    if start is not None:
        start.wait()
    done, begin = 0, clock()
    while True:
        kept = infer(inputs[(at + done) % k])
        done += 1
        passed = clock() - begin
        if passed >= limit:
            break
    del kept
    return done / max(passed, 1) * 1e9
