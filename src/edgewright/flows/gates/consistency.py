"""Consistency: the same answer for the same input however it is asked, and calls that take about the same time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from edgewright.core.measurement import Measurement
from edgewright.flows.gates.case import Case
from edgewright.flows.gates.finding import Finding, failed, passed, short, unchecked
from edgewright.measurement.steadiness import Way, ways

SECONDS = 3.0
ALIKE_DB = 40.0
"""Answers that are numbers count as the same above this signal-to-noise ratio: one part in a hundred."""
_SAME_DB = 100.0
_TAIL = 3.0
_MOST = 16


def judge(mine: Sequence[Way], original: Sequence[Way], pace: Mapping[str, Measurement | None] | None) -> Finding:
    """``mine`` and ``original``: the same inputs asked in several ways. What the original does too is not held against
    the candidate. ``pace``: ``p50``, ``p99``, ``original_p50`` and ``original_p99`` in ms, None where this machine is
    not the target.
    """
    theirs = {way.name: way for way in original}
    evidence: dict[str, Any] = {"ways": [way.to_json() for way in mine], "original": [w.to_json() for w in original]}
    wrong = [told for way in mine if (told := _unlike(way, theirs.get(way.name)))]
    if wrong:
        return failed("; ".join(wrong), **evidence)
    exact = [way.name for way in mine if way.identical]
    near = [way.name for way in mine if not way.identical]
    told = f"bit for bit the same {', '.join(exact)}" if exact else "the same answers"
    told += f"; the same decisions {', '.join(near)}" if near else ""
    if pace is None:
        return unchecked(f"{told}; the pace of calls needs the machine itself", **evidence)
    p50, p99 = pace.get("p50"), pace.get("p99")
    if p50 is None or p99 is None:
        return unchecked(f"{told}; the tail of the latency was not measured", **evidence)
    tail = p99.value / max(p50.value, 1e-12)
    evidence |= {"p99_over_p50": short(tail)}
    base50, base99 = pace.get("original_p50"), pace.get("original_p99")
    if base50 is not None and base99 is not None:
        evidence["original_p99_over_p50"] = short(base99.value / max(base50.value, 1e-12))
    if tail > _TAIL and _longer(p50, p99, base50, base99):
        return failed(f"{told}; one call in a hundred takes {tail:.2g} times the median or more", **evidence)
    note = f"one call in a hundred takes {tail:.2g} times the median"
    if tail > _TAIL and base50 is not None and base99 is not None:
        # In ms, not in medians: what interrupts a call takes as long from a short one.
        note += f" ({p99.value - p50.value:.2g} ms more, the original's beside it {base99.value - base50.value:.2g} ms)"
    if told_twice := p50.conditions.get("two_modes_ms"):
        note += f"; times fall into two heaps, around {told_twice[0]:.3g} and {told_twice[1]:.3g} ms"
    if p50.low is not None and p50.high is not None:
        evidence["level_known_within"] = short((p50.high - p50.low) / 2 / p50.value)
    return passed(f"{told}; {note}", **evidence)


def _unlike(way: Way, original: Way | None) -> str:
    """What is wrong with a way of asking, "" if nothing is."""
    if way.name in ("again", "in another session") and not way.identical:
        quiet = way.sqnr_db is not None and way.sqnr_db >= _SAME_DB and not way.changed
        if not quiet and (original is None or original.identical):
            return f"asked {way.name}, the same input gets another answer"
    if way.changed is not None:
        if way.changed and (original is None or not original.changed):
            return f"asked {way.name}, {way.changed} of {way.n} inputs get another class"
        return ""
    if way.sqnr_db is not None and way.sqnr_db >= ALIKE_DB:
        return ""
    if original is not None and (original.sqnr_db is None or original.sqnr_db < ALIKE_DB):
        return ""
    how = "answers that cannot be compared" if way.sqnr_db is None else f"answers {way.sqnr_db:.0f} dB apart"
    return f"asked {way.name}, the same inputs get {how}"


def _longer(p50: Measurement, p99: Measurement, base50: Measurement | None, base99: Measurement | None) -> bool:
    """Whether the tail is longer than the original's in ms, for sure: an interrupt is as long for a short call."""
    if base50 is None or base99 is None:
        return True
    low = (p99.value if p99.low is None else p99.low) - p50.value
    high = (base99.value if base99.high is None else base99.high) - base50.value
    return low > high


def check(case: Case) -> Finding:
    """Ask both models; take the pace from the run's own interleaved measurement."""
    box, result = case.box(SECONDS), case.result
    asked = result.inputs[:_MOST]
    both = []
    for which in (case.candidate, case.original) if case.rewritten else (case.candidate,):
        both.append(
            ways(lambda n, c=which: case.reopen(c, n), asked, result.choice, which.options.threads, box.checkpoint)  # type: ignore[misc]
        )
    pace = None
    if case.here:
        mine, base = case.candidate.metrics, case.original.metrics
        pace = {"p50": mine.get("latency_ms"), "p99": mine.get("latency_p99_ms"),
                "original_p50": base.get("latency_ms"), "original_p99": base.get("latency_p99_ms")}  # fmt: skip
    return judge(both[0], both[-1] if case.rewritten else (), pace)
