"""Series: what ``/metrics`` tells of splits and shadows. Labels are what the configuration names, and versions in the
index: however many come and go, there are no more series than these."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from edgewright.runtime.experiments.records import Totals
from edgewright.runtime.experiments.shadow import Shadows
from edgewright.runtime.experiments.splits import Splits
from edgewright.runtime.metrics import Family, Labels, Sample, summary
from edgewright.runtime.repository import Repository

ANSWERS, SHADOW = "answers", "shadow"


def series(repository: Repository, splits: Splits | None, shadows: Shadows | None) -> Iterator[Family]:
    """The families of what is on; none where nothing is."""
    shared = splits.report() if splits is not None else []
    asked = shadows.totals() if shadows is not None else []
    if shared:
        drawn = [(one["model"], version, n) for one in shared for version, n in one["drawn"].items()]
        shares = [(one["model"], version, share) for one in shared for version, share in one["shares"].items()]
        told = "Requests that named no version, by the one they drew."
        yield "split_requests_total", "counter", told, [("", _arm(m, v), n) for m, v, n in drawn]
        yield "split_share", "gauge", "The configured share of requests.", [("", _arm(m, v), s) for m, v, s in shares]
    if asked:
        yield from _of_shadows(asked)
    models = {one["model"] for one in shared} | {one.model for one in asked}
    if models:
        told = "Run times since the start of the versions that are compared, by whether callers got the answers."
        yield "arm_seconds", "summary", told, [*_answering(repository, models), *_asked_as_well(asked)]


def _of_shadows(asked: Sequence[Totals]) -> Iterator[Family]:
    arms = [(_arm(one.model, one.version), one, one.whole.outputs[""]) for one in asked]
    runs = [
        ("", {**labels, "outcome": outcome}, getattr(one.whole, outcome))
        for labels, one, _ in arms
        for outcome in ("compared", "failed")
    ]
    yield "shadow_runs_total", "counter", "Requests that a shadow was asked as well.", runs
    shed = [("", {**labels, "reason": why}, n) for labels, one, _ in arms for why, n in one.shed.items()]
    yield "shadow_shed_total", "counter", "Copies of requests that a shadow was not asked.", shed
    waiting = [("", labels, one.waiting) for labels, one, _ in arms]
    yield "shadow_waiting", "gauge", "Copies of requests that wait.", waiting
    choices = [("", labels, outputs.choices) for labels, _, outputs in arms]
    yield "shadow_choices_total", "counter", "Rows of outputs, each of which chooses its largest element.", choices
    apart = [
        ("", {**labels, "kind": kind}, n)
        for labels, _, outputs in arms
        for kind, n in (("choice", outputs.other_choices), ("unlike", outputs.unlike))
    ]
    told = "Rows that choose another element, and outputs of another shape, kind or text."
    yield "shadow_disagreements_total", "counter", told, apart
    told = "The largest difference in an output, over its largest magnitude in the answer that was given."
    far = [sample for labels, _, outputs in arms for sample in summary(outputs.relative, labels)]
    yield "shadow_difference", "summary", told, far


def _answering(repository: Repository, models: set[str]) -> Iterator[Sample]:
    for (model, version), stats in repository.tallies.stats().items():
        if model in models:
            labels = _arm(model, version, ANSWERS)
            yield from summary(stats.compute.sketch, labels)
            yield "_sum", labels, stats.compute.sum_s


def _asked_as_well(asked: Sequence[Totals]) -> Iterator[Sample]:
    for one in asked:
        labels = _arm(one.model, one.version, SHADOW)
        yield from summary(one.whole.latency, labels)
        yield "_sum", labels, one.whole.total_ns / 1e9


def _arm(model: str, version: str, arm: str = "") -> Labels:
    return {"model": model, "version": version, **({"arm": arm} if arm else {})}
