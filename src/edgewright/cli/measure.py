"""``edgewright measure``: models and candidates side by side in one interleaved run on this machine."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgewright.cli._data import add_data, reading
from edgewright.cli._duration import duration
from edgewright.core.errors import EdgewrightError, EngineError, InputError

if TYPE_CHECKING:
    from edgewright.core.samples import Samples
    from edgewright.core.session import Arrays
    from edgewright.measurement import Measured, Subject
    from edgewright.measurement.accuracy import AccuracyResult

_MOST = 32


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "models", nargs="+", type=Path, metavar="MODEL",
        help="a model file, a candidate's folder or a bundle; the first is the baseline",
    )  # fmt: skip
    parser.add_argument("--target", default="host", help="the machine measured on; measuring happens on this one: host")
    parser.add_argument("--engine", help="for models without an engine of their own (default: the format's)")
    parser.add_argument("--threads", type=int, help="for all models (default: the candidates' own, else 1)")
    parser.add_argument("--budget", type=duration, metavar="TIME", help="like 45s or 2m (default: 12s a model)")
    parser.add_argument("--seed", type=int, default=0, help="of the order of rounds and of the splits (default: 0)")
    parser.add_argument("--profile", action="store_true", help="tell where the time goes, operator by operator")
    parser.add_argument("--key", action="append", type=Path, metavar="FILE.pub", help="trust this key for bundles")
    add_data(parser, required=False)
    parser.add_argument("--json", action="store_true", help="print JSON alone on standard output")


def run(arguments: argparse.Namespace) -> int:
    """Exit status 0 when the baseline could be measured."""
    from edgewright.cli._results import results_only
    from edgewright.cli._subjects import read_subjects
    from edgewright.measurement import Effort, measure_all
    from edgewright.measurement.conditions import environment
    from edgewright.targets import HOST, target
    from edgewright.trust import load_public_key

    machine = target(arguments.target)
    if arguments.target != HOST:
        raise InputError(
            f"measuring happens on this machine, which is called {HOST!r}; "
            f"for a prediction: edgewright advise {arguments.models[0]} --target {arguments.target}"
        )
    if len(arguments.models) > _MOST:
        raise InputError(f"at most {_MOST} models are measured side by side; leave some out")
    seconds = arguments.budget or 12.0 * len(arguments.models)
    for key in arguments.key or ():
        load_public_key(key)  # a name that is wrong is told even where no bundle is measured
    subjects = read_subjects(arguments.models, arguments.engine, arguments.threads, arguments.key)
    with results_only():
        inputs, test, notes = _inputs(next(iter(subjects.values())), arguments)
        effort = Effort.within(seconds * (0.85 if test is not None else 1.0), len(subjects), arguments.seed)
        try:
            found = measure_all(subjects, inputs, effort, target=machine)
        except EngineError as error:
            raise InputError(f"{next(iter(subjects))}, the baseline, cannot be measured: {error}") from error
        accuracy = {} if test is None else _accuracy(subjects, test, found, notes)
        operators = _operators(subjects, inputs, found) if arguments.profile else {}
    if arguments.json:
        value = {
            "baseline": next(iter(subjects)),
            "environment": environment(),
            "notes": notes,
            "models": [
                _entry(name, subject, found[name], accuracy.get(name), operators.get(name))
                for name, subject in subjects.items()
            ],
        }
        print(json.dumps(value, indent=2, allow_nan=False))
        return 0
    from edgewright.cli import _table

    print(_table.summary(found, accuracy))
    for line in (*_table.remarks(found), *notes):
        print(f"- {line}")
    for name, rows in operators.items():
        print()
        print(_table.operators(name, rows))
    return 0


def _inputs(baseline: Subject, arguments: argparse.Namespace) -> tuple[list[Arrays], Samples | None, list[str]]:
    """Requests, the split to judge accuracy on (None without data enough), and notes."""
    from edgewright.measurement import drawn_requests, requests

    if arguments.data is None:
        notes = ["no data was given: timed on seeded noise, which may be faster or slower than real samples"]
        return drawn_requests(baseline.model.signature, seed=arguments.seed), None, notes
    from edgewright.datasets import dataset

    source = dataset(arguments.data, seed=arguments.seed, **reading(arguments))
    splits = source.bind(baseline.model.signature).splits()
    return requests(splits.test, baseline.model.signature), splits.test, list(splits.notes)


def _accuracy(
    subjects: Mapping[str, Subject], test: Samples, found: Mapping[str, Measured], notes: list[str]
) -> dict[str, AccuracyResult]:
    """Each model that ran against the first, on the held-out samples. Why one could not be judged goes to ``notes``."""
    from edgewright.measurement.accuracy import compare, evaluate

    first, *_ = subjects.values()
    try:
        with first.open() as session:
            original = evaluate(session, test, subject=first.model.digest)
    except EdgewrightError as error:
        notes.append(f"no accuracy: {error}")
        return {}
    results = {}
    for name, subject in subjects.items():
        if found[name].latency is None:
            continue
        try:
            with subject.open() as session:
                judged = evaluate(session, test, original.choice, subject=subject.model.digest)
            results[name] = compare(original, judged)
        except EdgewrightError as error:
            notes.append(f"{name}: no accuracy: {error}")
    return results


def _operators(
    subjects: Mapping[str, Subject], inputs: Sequence[Arrays], found: Mapping[str, Measured]
) -> dict[str, list[Any]]:
    from edgewright.measurement.profile import profile

    rows = {}
    for name, subject in subjects.items():
        if found[name].latency is not None:
            rows[name] = profile(subject.model, subject.engine, subject.options, inputs)
    return rows


def _entry(
    name: str, subject: Subject, found: Measured, accuracy: AccuracyResult | None, operators: list[Any] | None
) -> dict[str, Any]:
    value: dict[str, Any] = {
        "name": name,
        "engine": subject.engine,
        "engine_options": subject.options.to_json(),
        "format": subject.model.format,
        "digest": subject.model.digest,
        "metrics": {metric: one.to_json() for metric, one in found.metrics.items()},
        "missing": dict(found.missing),
        "latency": None if found.latency is None else found.latency.to_json(),
    }
    if accuracy is not None:
        value["metrics"]["accuracy"] = accuracy.candidate.to_json()
        value["accuracy"] = accuracy.to_json()
    if operators is not None:
        value["operators"] = [row.to_json() for row in operators]
    return value
