"""Speed: not slower than the original beside it, and within the user's limit at the slow end too."""

from __future__ import annotations

from typing import Any

from edgewright.core.measurement import Measurement
from edgewright.core.statistics import Interval
from edgewright.flows.gates.case import Case
from edgewright.flows.gates.finding import Finding, failed, passed, short, unchecked


def judge(
    ratio: Interval | None, latency: Measurement, p99: Measurement | None = None, limit: float | None = None
) -> Finding:
    """``ratio``: the candidate's time over the original's in one interleaved run, None for the original itself.

    ``limit`` (ms) is held against the median and against ``p99``; the latter fails only when its whole interval lies
    beyond: few calls reach that far, and what else the machine did is in them.
    """
    evidence: dict[str, Any] = {"latency_ms": short(latency.value), "limit_ms": limit}
    evidence |= {} if p99 is None else {"latency_p99_ms": short(p99.value)}
    evidence |= {} if ratio is None else {"ratio": [short(x) for x in (ratio.value, ratio.low, ratio.high)]}
    parts = []
    if ratio is None:
        parts.append("it is the original itself")
    elif ratio.low > 1:
        return failed(
            f"slower than the original: {ratio.value:.3g} times its latency (95%: {ratio.low:.3g} to {ratio.high:.3g})",
            **evidence,
        )
    else:
        parts.append(
            f"{1 / ratio.value:.3g}x as fast as the original (95%: {1 / ratio.high:.3g} to {1 / ratio.low:.3g})"
        )
        if ratio.high > 1:
            parts.append("the interval reaches across 1: as fast, for all that can be told")
    if limit is not None:
        parts.append(f"{latency.value:.3g} ms where {limit:.3g} ms are allowed")
        if latency.value > limit:
            return failed(f"the median takes {parts[-1]}", **evidence)
        if p99 is not None and p99.value > limit:
            slow = f"one call in a hundred takes {p99.value:.3g} ms or more where {limit:.3g} ms are allowed"
            if p99.low is not None and p99.low > limit:
                return failed(slow, **evidence)
            parts.append(f"{slow}, though its interval reaches down to what is allowed")
    return passed("; ".join(parts), **evidence)


def ratio_of(latency: Measurement) -> Interval | None:
    """The ratio to the original that stands among the conditions of a latency from an interleaved run."""
    told = latency.conditions.get("ratio")
    if not isinstance(told, list | tuple) or len(told) != 3:
        return None
    return Interval(float(told[0]), float(told[1]), float(told[2]), latency.n)


def check(case: Case) -> Finding:
    """The run's own interleaved measurement."""
    latency = case.candidate.metrics.get("latency_ms")
    if latency is None:
        return unchecked("no latency was measured")
    if latency.kind != "measured":
        told = f"{case.elsewhere}; {latency.value:.3g} ms is {latency.kind}"
        return unchecked(told, **{f"{latency.kind}_ms": short(latency.value)})
    ratio = ratio_of(latency) if case.rewritten else None
    if case.rewritten and ratio is None:
        return unchecked("the latency was not measured beside the original's", latency_ms=short(latency.value))
    return judge(ratio, latency, case.candidate.metrics.get("latency_p99_ms"), case.limit("latency_ms"))
