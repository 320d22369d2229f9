"""Accuracy: what the candidate lost on samples nobody has looked at before, and what its worst class lost."""

from __future__ import annotations

from collections.abc import Sequence

from edgewright.core.measurement import Measurement
from edgewright.flows.gates.case import Case
from edgewright.flows.gates.finding import Finding, failed, passed, short, unchecked
from edgewright.flows.limits import KEPT_ACCURACY
from edgewright.measurement.accuracy import FEWEST_OF_A_CLASS, AccuracyResult, ClassDrop


def judge(drop: Measurement, limit: float, classes: Sequence[ClassDrop] = (), flags: Sequence[str] = ()) -> Finding:
    """``drop`` > 0 is a loss in the metric's unit, with its paired interval; ``limit`` the most allowed.

    A class may lose what the whole may, or 5% of its own accuracy, whichever is more; it fails only when its whole
    interval (which holds for all classes together) lies beyond that: a class of few samples proves little.
    """
    low = drop.value if drop.low is None else drop.low
    high = drop.value if drop.high is None else drop.high
    told = f"{_amount(drop.value, drop.unit)} on {drop.n:,} held-out samples (95%: {low:+.2g} to {high:+.2g})"
    allowed = f"{limit:.3g} may be lost"
    evidence = {"drop": short(drop.value), "low": short(low), "high": short(high), "limit": short(limit),
                "unit": drop.unit, "n": drop.n, "flags": list(flags)}  # fmt: skip
    worst = max((c for c in classes if c.n >= FEWEST_OF_A_CLASS), key=lambda c: (c.drop, c.n), default=None)
    if worst is not None:
        evidence["worst_class"] = {k: v if isinstance(v, str) else short(v) for k, v in vars(worst).items()}
    if drop.value > limit:
        certain = "" if low > limit else ", though the interval reaches down to what is allowed"
        return failed(f"{told}; {allowed}{certain}", **evidence)
    beyond = [c for c in classes if c.low > max(limit, (1 - KEPT_ACCURACY) * c.before)]
    if beyond:
        first = max(beyond, key=lambda c: c.low)
        return failed(
            f"{told}, but class {first.name!r} lost {first.drop:.3g} points of {first.before:.3g} on {first.n} samples "
            f"(at least {first.low:.2g}, all {len(classes)} classes considered)",
            **evidence,
        )
    notes = [f"{allowed}; the interval reaches across that: more samples would tell" if high > limit else allowed]
    if worst is not None and worst.drop > 0:
        notes.append(f"worst class {worst.name!r}: {_amount(worst.drop, 'points')} on {worst.n}")
    return passed("; ".join([told, *notes, *flags]), **evidence)


def _amount(drop: float, unit: str) -> str:
    return f"{abs(drop):.3g} {unit} {'won' if drop < 0 else 'lost'}"


def check(case: Case) -> Finding:
    """The held-out comparison that the run made."""
    found: AccuracyResult | None = case.result.accuracies.get(case.candidate.id)
    limit = case.limit("accuracy_drop")
    if found is None or found.split != case.result.splits.test.name:
        return unchecked("the candidate was not judged on held-out samples")
    if limit is None:
        return unchecked("no limit on the loss of accuracy is known")
    return judge(found.drop, limit, found.per_class, found.flags)
