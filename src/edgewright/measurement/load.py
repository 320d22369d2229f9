"""Load: thousands of calls without a pause, watched for errors, other answers, growing memory and slowing down."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgewright.core.errors import EdgewrightError, InputError
from edgewright.core.session import Arrays, Session
from edgewright.core.statistics import Interval
from edgewright.measurement.blocks import Clock
from edgewright.measurement.intervals import trend
from edgewright.measurement.quiet import no_collector

_LOOKS = 60
_CHECKED = 32
MOST_CALLS = 100_000


@dataclass(frozen=True)
class LoadResult:
    """What sustained load did.

    ``errors``: messages of calls that failed (the run ends at the first). ``other_answers``: calls among those checked
    that answered otherwise than before. ``grown_bytes`` and ``growth`` (bytes per 1000 calls, with its interval):
    resident memory over the second half of the run, None where the system does not tell. ``work_ms`` and ``wall_ms``:
    median milliseconds a call of processor time and of time, over the first and the last quarter.
    """

    calls: int
    seconds: float
    errors: tuple[str, ...]
    checked: int
    other_answers: int
    grown_bytes: int | None
    growth: Interval | None
    work_ms: tuple[float, float]
    wall_ms: tuple[float, float]

    def to_json(self) -> dict[str, Any]:
        """A JSON value of the fields."""
        told = self.growth
        return {
            **vars(self), "errors": list(self.errors), "work_ms": list(self.work_ms), "wall_ms": list(self.wall_ms),
            "growth": None if told is None else {"value": told.value, "low": told.low, "high": told.high},
        }  # fmt: skip


def resident_bytes() -> int | None:
    """Memory this process holds now (proc(5), statm); None elsewhere than on Linux."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return None


def sustain(
    session: Session, inputs: Sequence[Arrays], *, duration_s: float = 2.0, most: int = MOST_CALLS,
    clock: Clock = time.perf_counter_ns, work: Clock = time.process_time_ns,
    memory: Callable[[], int | None] = resident_bytes,
) -> LoadResult:  # fmt: skip
    """Call the session with ``inputs`` in turn for ``duration_s``, at most ``most`` times.

    Processor time tells a call that became dearer from a machine that became busier. A failing call is a result, not an
    exception. Raises InputError without inputs.
    """
    if not inputs:
        raise InputError("there is no input to put load on the model with; give data with at least one sample")
    looks: list[tuple[int, int, int, int | None]] = []
    errors: list[str] = []
    calls = checked = other = 0
    with no_collector():
        try:
            first = [session.infer(request) for request in inputs[: min(len(inputs), _CHECKED)]]
            begin, step = clock(), duration_s * 1e9 / _LOOKS
            looks.append((0, begin, work(), memory()))
            while calls < most:
                i = calls % len(inputs)
                found = session.infer(inputs[i])
                calls += 1
                now = clock()
                if now - looks[-1][1] >= step:
                    looks.append((calls, now, work(), memory()))
                    if i < len(first):
                        checked += 1
                        other += _differ(first[i], found)
                    if now - begin >= duration_s * 1e9:
                        break
            if looks[-1][0] != calls:
                looks.append((calls, clock(), work(), memory()))
        except EdgewrightError as error:
            errors.append(str(error))
    at = np.array([[n, t, w] for n, t, w, _ in looks], np.float64).reshape(-1, 3)
    held = [m for *_, m in looks]
    seconds = float(at[-1, 1] - at[0, 1]) / 1e9 if len(at) else 0.0
    grown, slope = _growth(at[:, 0], held)
    return LoadResult(
        calls, seconds, tuple(errors), checked, other, grown, slope, _quarters(at[:, 0], at[:, 2]),
        _quarters(at[:, 0], at[:, 1]),
    )  # fmt: skip


def _differ(first: Arrays, found: Arrays) -> bool:
    """Beyond what another order of summation may do."""
    for name, a in first.items():
        if a.dtype.kind != "f":
            if not np.array_equal(a, found[name]):
                return True
        elif not np.allclose(a, found[name], rtol=1e-4, atol=1e-4 * float(np.abs(a).max(initial=0.0)), equal_nan=True):
            return True
    return False


def _growth(calls: NDArray[np.float64], held: Sequence[int | None]) -> tuple[int | None, Interval | None]:
    """Over the second half: memory fills its arenas first, a leak never stops."""
    known = [m for m in held if m is not None]
    half = len(known) // 2
    if len(known) != len(held) or len(known) - half < 8:
        return None, None
    late = np.array(known[half:], np.float64)
    found = trend(calls[half:] / 1000, late)
    return int(late[-1] - late[0]), found


def _quarters(calls: NDArray[np.float64], spent: NDArray[np.float64]) -> tuple[float, float]:
    """Median milliseconds a call in the first and in the last quarter of the looks."""
    if len(calls) < 2:
        return 0.0, 0.0
    each = np.diff(spent) / np.maximum(np.diff(calls), 1) / 1e6
    quarter = max(1, len(each) // 4)
    return float(np.median(each[:quarter])), float(np.median(each[-quarter:]))


__all__ = ["LoadResult", "resident_bytes", "sustain"]
