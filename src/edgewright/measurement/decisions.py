"""Cheap answers for a search: a candidate's ratio to the baseline, and whether one session beats another."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import Literal

from edgewright.core.session import Arrays, Session
from edgewright.measurement.blocks import Clock
from edgewright.measurement.intervals import FEWEST, median_ratio
from edgewright.measurement.latency import LatencyResult, Plan, measure_latency


def quick_latency(
    baseline: Session,
    candidate: Session,
    inputs: Sequence[Arrays],
    *,
    budget_s: float = 0.3,
    precision: float = 0.02,
    seed: int = 0,
    clock: Clock = time.perf_counter_ns,
) -> LatencyResult:
    """The candidate's latency and its ratio to the baseline, cheaply enough to ask for every candidate of a search.

    Results of two looks were taken at different moments: compare their ``ratio``, not their ``p50``. Three rounds are
    run even where calls are so slow that they do not fit the budget.
    """
    plan = Plan(budget_s, precision, seed, "baseline", rounds=12, least=3, tail_calls=0, block_ms=1.0)
    pair = {"baseline": baseline, "candidate": candidate}
    return measure_latency(pair, inputs, plan, clock=clock)["candidate"]


def faster(
    a: Session,
    b: Session,
    inputs: Sequence[Arrays],
    *,
    margin: float = 0.02,
    budget_s: float = 1.0,
    seed: int = 0,
    clock: Clock = time.perf_counter_ns,
) -> Literal["yes", "no", "unclear"]:
    """Whether ``a`` is faster than ``b`` by more than ``margin`` (0.02: at least 2%, which opening twice may feign).

    Decided as soon as the interval lies on one side. Looking again and again would make an error ever more likely, so
    look number k spends 5% x 6 / (pi k)^2 of it: all looks together err at most in 5% (union bound).
    """
    runs: dict[str, LatencyResult] | None = None
    limit = 1.0 - margin
    begin = clock()
    for look in range(1, 9):
        left = budget_s - (clock() - begin) / 1e9
        if runs is not None and left <= 0:
            break
        share = max(min(left, budget_s / 8 * 1.3 ** (look - 1)), 1e-3)
        plan = Plan(share, 0.0, seed, "b", rounds=12, tail_calls=0, block_ms=1.0)
        runs = measure_latency({"a": a, "b": b}, inputs, plan, clock=clock, resume=runs)
        mine, theirs = runs["a"].round_ms, runs["b"].round_ms
        if mine.size < FEWEST:
            continue
        found = median_ratio(mine, theirs, confidence=1 - 0.05 * 6 / (math.pi * look) ** 2)
        if found.high < limit:
            return "yes"
        if found.low > limit:
            return "no"
    return "unclear"
