"""Memory: what opening and running the candidate adds to a process, beside the original's."""

from __future__ import annotations

from edgewright.core.measurement import Measurement
from edgewright.flows.gates.case import Case
from edgewright.flows.gates.finding import Finding, failed, passed, unchecked

SHARE = 0.1
"""Of what the machine lets a model use: without a limit, more than the original is no matter below this."""


def judge(mine: Measurement, original: Measurement | None, limit: float | None = None, room: float = 0.0) -> Finding:
    """Peaks in bytes, with the spread over processes; ``room``: the bytes a model may use on the machine.

    With a ``limit`` that decides. Without one the candidate may lie above the original beyond both their spreads only
    where it takes a small share of the room: an engine of another make has another floor.
    """
    low, high = _ends(mine)
    evidence = {"ram_bytes": [low, mine.value, high], "limit_bytes": limit}
    told = f"{mine.value / 1e6:.3g} MB at the peak"
    if original is not None:
        base_low, base_high = _ends(original)
        evidence["original_bytes"] = [base_low, original.value, base_high]
        told += f", the original {original.value / 1e6:.3g} MB"
        above = low > base_high
    else:
        above = False
    if limit is not None:
        told += f"; {limit / 1e6:.3g} MB are allowed"
        if mine.value > limit:
            return failed(told, **evidence)
        return passed(told + (": more than the original, within what was asked" if above else ""), **evidence)
    if above and room and mine.value <= SHARE * room:
        return passed(f"{told}: more, yet {mine.value / room:.1%} of what a model may use here", **evidence)
    if above:
        return failed(
            f"{told}: more than the original, beyond the spread of both; --max-memory-mb says what may be taken",
            **evidence,
        )
    if original is None:
        return unchecked("neither the original's memory nor a limit is known", **evidence)
    return passed(told, **evidence)


def _ends(seen: Measurement) -> tuple[float, float]:
    return (seen.value if seen.low is None else seen.low), (seen.value if seen.high is None else seen.high)


def check(case: Case) -> Finding:
    """The run's own figures from fresh processes."""
    mine = case.candidate.metrics.get("ram_bytes")
    if mine is None:
        missing = case.result.facts.get(case.candidate.id, {}).get("missing", {})
        return unchecked(missing.get("ram_bytes", "was not measured") if case.here else case.elsewhere)
    if mine.kind != "measured":
        told = f"{case.elsewhere}; {mine.value / 1e6:.3g} MB is {mine.kind}"
        return unchecked(told, **{f"{mine.kind}_bytes": mine.value})
    original = case.original.metrics.get("ram_bytes") if case.rewritten else None
    room = float(case.result.target.ram_model)
    return judge(mine, mine if not case.rewritten else original, case.limit("ram_bytes"), room)
