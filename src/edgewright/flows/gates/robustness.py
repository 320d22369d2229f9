"""Robustness: disturbed samples cost the candidate no more than they cost the original, and hostile ones no crash."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgewright.core.errors import EdgewrightError, InputError
from edgewright.core.measurement import Measurement
from edgewright.core.samples import Samples
from edgewright.flows.gates.case import Box, Case, OutOfTimeError
from edgewright.flows.gates.finding import Finding, failed, passed, short, unchecked
from edgewright.flows.limits import KEPT_ACCURACY
from edgewright.measurement.accuracy import AccuracyResult, compare, evaluate
from edgewright.measurement.hostile import Outcome, hostile_requests, provoke
from edgewright.measurement.robustness import Disturbance, Disturbed, Scale, applicable, scales
from edgewright.measurement.subject import Subject

SECONDS = 4.0
_CHILD_S = 20.0
_FEWEST, _MOST, _GROWTH = 24, 1000, 4


@dataclass(frozen=True)
class Shaken:
    """One disturbance. ``original`` and ``candidate``: the metric under it; ``drop``: what the candidate lost against
    the original on the very same disturbed samples, > 0 is worse."""

    name: str
    original: float
    candidate: float
    drop: Measurement

    def to_json(self) -> dict[str, Any]:
        """A JSON value."""
        ends = [short(x) for x in (self.drop.value, self.drop.low or 0.0, self.drop.high or 0.0)]
        return {"name": self.name, "original": short(self.original), "candidate": short(self.candidate), "drop": ends}


def judge(
    shaken: Sequence[Shaken], limit: float, clean: Measurement | None = None,
    outcomes: Mapping[str, Mapping[str, Outcome]] | None = None, left_out: Sequence[str] = (), *, needed: bool = True,
) -> Finding:  # fmt: skip
    """``limit``: what the candidate may lose beyond the original under a disturbance, in the metric's unit; ``clean``
    what it lost undisturbed. A disturbance fails it when its whole interval lies beyond the larger of the two; where
    only the value does, the samples are too few to tell, and nothing is passed.

    ``outcomes``: of hostile inputs, for ``original`` and ``candidate``; a crash of the candidate alone fails it, any
    other difference is told. ``needed`` false: the data has nothing that could be disturbed.
    """
    evidence: dict[str, Any] = {"disturbed": [s.to_json() for s in shaken], "limit": short(limit)}
    evidence |= {"left_out": list(left_out)} if left_out else {}
    parts: list[str] = []
    if outcomes is not None:
        mine, theirs = outcomes["candidate"], outcomes.get("original", {})
        evidence["hostile"] = {n: _told(o, theirs.get(n)) for n, o in mine.items()}
        died = [n for n, o in mine.items() if o.state == "died" and (n not in theirs or theirs[n].state != "died")]
        if died:
            return failed(f"an input with {died[0]} ends the process ({mine[died[0]].message})", **evidence)
        parts.append(_differences(mine, theirs))
    allowed = limit if clean is None else max(limit, clean.value)
    worse = [s for s in shaken if (s.drop.value if s.drop.low is None else s.drop.low) > allowed]
    if worse:
        first = max(worse, key=lambda s: s.drop.value)
        return failed(
            f"more fragile than the original: with {first.name} it loses {first.drop.value:.3g} {first.drop.unit} "
            f"more than the original does (at least {first.drop.low:.2g}; {allowed:.2g} are allowed)",
            **evidence,
        )
    if not shaken and needed:
        return unchecked("; ".join(["no disturbance fitted into the time", *parts]), **evidence)
    worst = max(shaken, key=lambda s: s.drop.value, default=None)
    if worst is not None and worst.drop.value > allowed:
        return unchecked(
            f"not shown: with {worst.name} it loses {worst.drop.value:.3g} {worst.drop.unit} more than the original "
            f"does, where {allowed:.2g} are allowed, but {worst.drop.n:,} samples cannot tell that from chance (at "
            f"least {worst.drop.low:.2g}); more data can", **evidence,
        )  # fmt: skip
    if worst is not None:
        told = f"{max(worst.drop.value, 0.0):.2g} {worst.drop.unit} more lost than by the original at worst"
        parts.insert(0, f"{told} ({worst.name}), on {worst.drop.n:,} samples disturbed in {len(shaken)} ways")
    else:
        parts.insert(0, "the inputs are whole numbers or text, which have no small disturbance")
    if left_out:
        parts.append(f"no time for: {', '.join(left_out)}")
    return (passed if shaken or outcomes is not None else unchecked)("; ".join(p for p in parts if p), **evidence)


def _told(mine: Outcome, theirs: Outcome | None) -> dict[str, Any]:
    sides = {"candidate": mine} if theirs is None else {"candidate": mine, "original": theirs}
    return {side: {k: v for k, v in vars(o).items() if v not in (None, "")} for side, o in sides.items()}


def _differences(mine: Mapping[str, Outcome], theirs: Mapping[str, Outcome]) -> str:
    """Where hostile inputs get answers of another kind than the original's."""
    kinds: dict[tuple[str, str], list[str]] = {}
    for name, outcome in mine.items():
        other = theirs.get(name)
        if other is not None and other.state != outcome.state:
            kinds.setdefault((other.state, outcome.state), []).append(name)
    if not kinds:
        return "hostile inputs end no process" + (", and get the kind of answer the original gives" if theirs else "")
    word = {"finite": "a number like any other", "error": "an error", "died": "the end of its process"}
    told = [
        f"{_some(names)} gets {word.get(new, new)} where the original gives {word.get(old, old)}"
        for (old, new), names in kinds.items()
    ]
    return f"{'; '.join(told)}: look at inputs before the model does"


def _some(names: Sequence[str]) -> str:
    """One by name, the others counted."""
    more = len(names) - 1
    return names[0] + (f" (and {more} other hostile input{'' if more == 1 else 's'})" if more else "")


def check(case: Case) -> Finding:
    """Ask a child process about hostile inputs; disturb held-out samples and ask both models."""
    result = case.result
    found = scales(result.splits.test)
    wanted = applicable(found)
    outcomes = _hostile(case)
    box = case.box(SECONDS)
    shaken, clean = _shake(case, wanted, found, box)
    done = {s.name for s in shaken}
    left = [d.name for d in wanted if d.name not in done]
    if outcomes is None:
        left.append("hostile inputs")
    before = shaken[0].original if shaken else 0.0
    whole = 100.0 if result.choice.metric.unit == "points" else abs(before)
    limit = max(case.limit("accuracy_drop") or 0.0, (1 - KEPT_ACCURACY) * whole)
    return judge(shaken, limit, None if clean is None else clean.drop, outcomes, left, needed=bool(wanted))


def _shake(
    case: Case, wanted: Sequence[Disturbance], found: Mapping[str, Scale], box: Box
) -> tuple[list[Shaken], AccuracyResult | None]:
    """As many disturbances as fit into the time, and the comparison without any."""
    result, shaken, clean = case.result, list[Shaken](), None
    mine, theirs = case.session(case.candidate), case.session(case.original)

    def compared(asked: Samples) -> AccuracyResult | None:
        try:
            first = evaluate(theirs, asked, result.choice, checkpoint=box.checkpoint)
            return compare(first, evaluate(mine, asked, result.choice, checkpoint=box.checkpoint))
        except InputError:  # the original itself has no answer to these: it is no yardstick then
            return None

    with suppress(OutOfTimeError):
        most, count, room = min(len(result.splits.test), _MOST), _FEWEST, True
        compared(result.splits.test.head(_FEWEST))  # what is opened and warmed by it says nothing of the others
        while room:  # a few samples take hardly less time than some more do
            begin, samples = box.left, result.splits.test.head(count)
            clean = compared(samples)
            more = min(_GROWTH * count, most)
            room = more > count and (begin - box.left) * more / count * (len(wanted) + 1) < 0.8 * box.left
            count = more if room else count
        for disturbance in wanted:
            made = compared(Disturbed(samples, disturbance, found, result.splits.seed))
            if made is not None:
                shaken.append(Shaken(disturbance.name, made.baseline.value, made.candidate.value, made.drop))
    return shaken, clean


def _hostile(case: Case) -> dict[str, dict[str, Outcome]] | None:
    """What became of hostile inputs; None where there are none to make, or no child process could be asked."""
    request = case.result.inputs[0]
    high = {n: float(np.nanmax(np.abs(a), initial=1.0)) for n, a in request.items() if a.dtype.kind == "f"}
    requests = hostile_requests(request, high)
    subjects = {side: Subject(c.model, c.engine, c.options)
                for side, c in (("original", case.original), ("candidate", case.candidate))}  # fmt: skip
    with suppress(EdgewrightError):
        return provoke(subjects, requests, case.result.choice.output, timeout_s=_CHILD_S) if requests else None
    return None
