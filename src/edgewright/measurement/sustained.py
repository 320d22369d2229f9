"""Latency under continuous load: what heat and falling clocks leave of the cold figure."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgewright.core.errors import InputError
from edgewright.core.measurement import Measurement
from edgewright.core.session import Arrays, Session
from edgewright.core.statistics import Interval
from edgewright.measurement.blocks import Clock, Runner, Visit, know_clock
from edgewright.measurement.conditions import disturbance, read_counters, session_conditions
from edgewright.measurement.intervals import FEWEST, clustered_quantile, trend
from edgewright.measurement.latency import Checkpoint
from edgewright.measurement.quiet import Pin, no_collector


@dataclass(frozen=True, eq=False)
class SustainedResult:
    """``cold`` and ``hot`` are medians in ms over the first tenth and the last quarter of the run; ``slowdown`` is hot
    over cold; ``trend_per_minute`` the change per minute as a share of the cold figure, None for short runs.
    ``seconds`` and ``visit_ms`` (visits,) draw the curve."""

    cold: Interval
    hot: Interval
    slowdown: Interval
    trend_per_minute: Interval | None
    seconds: NDArray[np.float64]
    visit_ms: NDArray[np.float64]
    conditions: Mapping[str, Any] = field(repr=False)

    def measurement(self, subject: str = "", target: str = "host") -> Measurement:
        """``latency_sustained_ms``: the median of the last quarter."""
        shared = dict(self.conditions) | {
            "cold_ms": float(f"{self.cold.value:.5g}"),
            "slowdown": [float(f"{x:.4g}") for x in (self.slowdown.value, self.slowdown.low, self.slowdown.high)],
        }
        if self.trend_per_minute is not None:
            told = self.trend_per_minute
            shared["trend_per_minute"] = [float(f"{x:.3g}") for x in (told.value, told.low, told.high)]
        known = len(self.visit_ms) >= 4 * FEWEST
        low, high = (self.hot.low, self.hot.high) if known else (None, None)
        return Measurement(self.hot.value, "ms", "measured", self.hot.n, low, high, shared, target, subject)


def measure_sustained(
    session: Session,
    inputs: Sequence[Arrays],
    *,
    duration_s: float = 10.0,
    block_ms: float = 5.0,
    clock: Clock = time.perf_counter_ns,
    checkpoint: Checkpoint | None = None,
    root: Path = Path("/"),
) -> SustainedResult:
    """Run the session without a pause for ``duration_s`` and compare the end with the start.

    Heat takes minutes to show in a closed case: give it the time, the default only catches the first fall of the
    clock. Raises InputError without inputs.
    """
    if not inputs:
        raise InputError("there is no input to measure with; give data with at least one sample")
    runner = Runner([session], inputs, clock, know_clock(clock))
    threads = getattr(session, "options", None) and session.options.threads  # type: ignore[attr-defined]
    visits: list[Visit] = []
    seconds: list[float] = []
    state = _heat(root)
    before = read_counters()
    with no_collector():
        runner.warm_up(0.02 * duration_s * 1e9)
        runner.size_blocks(min(block_ms * 1e6, duration_s * 1e9 / 40), threads or 1)
        runner.lead = 0
        with Pin(threads or 1) as pin:
            cpus = list(pin.cpus)
            begin = clock()
            while True:
                visits.append(runner.visit())
                seconds.append((clock() - begin) / 1e9)
                if seconds[-1] >= duration_s or (checkpoint is not None and checkpoint() is False):
                    break
    told = session_conditions(session) | {"duration_s": round(seconds[-1], 2), "pinned": cpus}
    told |= disturbance(before, read_counters(), [v.preemptions for v in visits])
    if state or (state := _heat(root)):
        told["heat"] = {"start": state, "end": _heat(root)}
    return _result(visits, np.array(seconds), told)


def _result(visits: Sequence[Visit], seconds: NDArray[np.float64], told: dict[str, Any]) -> SustainedResult:
    typical = np.array([np.median(v.typical_ms) for v in visits], np.float64)
    first = max(1, len(visits) // 10)
    last = max(1, len(visits) // 4)
    cold = clustered_quantile([v.typical_ms for v in visits[:first]], 0.5)
    hot = clustered_quantile([v.typical_ms for v in visits[-last:]], 0.5)
    value = hot.value / cold.value
    low = value * math.exp(-math.hypot(math.log(hot.value / hot.low), math.log(cold.high / cold.value)))
    high = value * math.exp(math.hypot(math.log(hot.high / hot.value), math.log(cold.value / cold.low)))
    slope = None
    if len(visits) >= 20 and seconds[-1] >= 1:
        found = trend(seconds, typical)
        share = 60 / cold.value
        slope = Interval(found.value * share, found.low * share, found.high * share, found.n)
    return SustainedResult(cold, hot, Interval(value, low, high, len(visits)), slope, seconds, typical, told)


def _heat(root: Path) -> dict[str, float]:
    """The hottest zone in degrees Celsius and the fastest core's clock in MHz, where the system tells."""

    def numbers(pattern: str) -> list[int]:
        found = []
        for path in (root / "sys").glob(pattern):
            try:
                found.append(int(path.read_text()))
            except (OSError, ValueError):
                continue
        return found

    state = {}
    if zones := numbers("class/thermal/thermal_zone*/temp"):
        state["celsius"] = max(zones) / 1000
    if clocks := numbers("devices/system/cpu/cpu[0-9]*/cpufreq/scaling_cur_freq"):
        state["mhz"] = max(clocks) / 1000
    return state
