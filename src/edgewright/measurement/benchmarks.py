"""Benchmarks: subjects measured side by side, told as hub and devices tell each other of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from edgewright.core.digests import canonical_json
from edgewright.core.errors import EdgewrightError
from edgewright.core.measurement import Measurement
from edgewright.core.messages import Benched, BenchmarkResult
from edgewright.core.messages.benchmarks import MACHINE_BYTES, Figure
from edgewright.core.session import Arrays
from edgewright.measurement.conditions import environment
from edgewright.measurement.latency import Checkpoint
from edgewright.measurement.subject import Subject
from edgewright.measurement.suite import Effort, Measured, measure_all
from edgewright.targets import Target

_NOTE, _NOTES = 400, 32


def benchmark(
    subjects: Mapping[str, Subject | str], inputs: Sequence[Arrays], effort: Effort, *, number: int = 0,
    target: Target | None = None, checkpoint: Checkpoint | None = None,
) -> BenchmarkResult:  # fmt: skip
    """Every subject by its name, in one interleaved run; one that is a sentence is not there, for that reason. The
    first that is there is the baseline.

    One that does not run is told with the reason, and the others go on. Nothing is raised for what subjects do.
    """
    there = {name: one for name, one in subjects.items() if isinstance(one, Subject)}
    told = {name: Benched(name, why=one) for name, one in subjects.items() if isinstance(one, str)}
    first = next(iter(there.values()), None)
    for name, one in list(there.items()):
        if first is not None and one.options.threads != first.options.threads:
            why = f"it runs on {one.options.threads} threads, the first on {first.options.threads}; measure them apart"
            told[name] = Benched(name, there.pop(name).engine, why=why)
    found = dict[str, Measured]()
    while there:
        try:
            found = measure_all(there, inputs, effort, target=target, checkpoint=checkpoint)
            break
        except EdgewrightError as error:  # the baseline's: the next one is it
            baseline, *_ = there
            told[baseline] = Benched(baseline, there.pop(baseline).engine, why=str(error)[:500])
    told |= {name: _benched(name, there[name], one) for name, one in found.items()}
    why = "" if found else "none of them could be measured"
    return BenchmarkResult(number, tuple(told[name] for name in subjects), machine(), why)


def machine() -> dict[str, object]:
    """What this machine is and how busy, as far as it fits."""
    told = environment()
    while len(canonical_json(told)) > MACHINE_BYTES:
        told.pop(max(told, key=lambda name: len(canonical_json(told[name]))))
    return told


def _benched(name: str, subject: Subject, found: Measured) -> Benched:
    figures = {metric: _figure(one) for metric, one in found.metrics.items()}
    missing = {metric: why[:256] for metric, why in found.missing.items()}
    made = Benched(name, subject.engine, figures, missing)
    if found.latency is None:
        return replace(made, why=next(iter(found.missing.values()), "it was not measured")[:500])
    ratio, notes = found.latency.ratio, found.latency.conditions.get("notes", ())
    return replace(
        made, ratio=(ratio.value, ratio.low, ratio.high), distribution_ms=tuple(found.latency.distribution()),
        rounds=len(found.latency.visits), notes=tuple(str(note)[:_NOTE] for note in list(notes)[:_NOTES]),
    )  # fmt: skip


def _figure(one: Measurement) -> Figure:
    return Figure(one.value, one.unit, one.kind, one.n, one.low, one.high)
