"""A compile run into a folder: search, files, report, bundle. What the command line and the hub call."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgewright.bundles.names import word
from edgewright.core.errors import InputError
from edgewright.core.files import write_file
from edgewright.datasets import dataset
from edgewright.flows.compile import optimize
from edgewright.flows.others import Others
from edgewright.flows.outcome import INTERRUPTED, Result
from edgewright.flows.place import STORE, run_folder
from edgewright.flows.readiness import ready
from edgewright.flows.record import Origin, document, encode, write_candidates, write_report
from edgewright.flows.settings import Progress
from edgewright.flows.ship import seal_best
from edgewright.trust.keys import SigningKey


@dataclass(frozen=True)
class Request:
    """What was asked for: paths as given, ``reading`` and ``options`` as ``dataset`` and ``optimize`` take them,
    ``arguments`` to ask again, ``name`` of the bundle, under which a runtime serves it ("": the model file's).
    ``called``: what the report calls model and data, where their paths say nothing to who reads it."""

    model: str
    data: str
    target: str = "host"
    reading: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    arguments: tuple[str, ...] = ()
    name: str = ""
    called: tuple[str, str] | None = None


def compile_into(
    request: Request,
    out: Path,
    progress: Callable[[Progress], None] = lambda _: None,
    finishing: AbstractContextManager[Any] | None = None,
    key: SigningKey | None = None,
    others: Others | None = None,
) -> dict[str, Any]:
    """Run and write the report (page and JSON), ``readiness.json``, ``candidates/`` and, if feasible, ``bundle/``.

    The result appears as a whole, its report last: a folder without ``report.json`` holds no finished run, and the same
    request goes on from what it holds. A run that fails leaves what was there before. ``finishing`` is entered while
    the result is written. ``key`` seals the bundle (None: the user's own); ``others`` as ``optimize`` has it. Returns
    the report.
    """
    if request.name:
        try:
            word(request.name, "bundle's name")
        except ValueError as error:
            raise InputError(f"{error}; choose another --name") from error
    source = dataset(request.data, **request.reading)
    with run_folder(out) as new:
        result = optimize(
            request.model, source, request.target, work=out / STORE, progress=progress, others=others, **request.options
        )
        with finishing or nullcontext():
            progress(_last(result))
            return write(result, request, new, key)


def write(result: Result, request: Request, out: Path, key: SigningKey | None = None) -> dict[str, Any]:
    """The files of a finished search; the report."""
    model, data = request.called or (request.model, request.data)
    origin = Origin(model, data, request.target, request.arguments, request.reading)
    report = document(result, origin)
    report["readiness"] = ready(result)
    write_candidates(result, out)
    if result.best is not None:
        inside = {**report, "model": {**report["model"], "source": None}, "data": {**report["data"], "source": None}}
        inside |= {"reproduce": "", "environment": {k: v for k, v in report["environment"].items() if k != "hostname"}}
        evidence = {"report.json": inside, "readiness.json": report["readiness"]}
        seal_best(result, out / "bundle", evidence, request.name or Path(request.model).stem, key)
    write_file(out / "readiness.json", encode(report["readiness"]))
    write_report(report, out)
    return report


def _last(result: Result) -> Progress:
    stage = "gates and report" + (" (Ctrl-C once more ends at once)" if result.stopped == INTERRUPTED else "")
    left = max(result.settings.budget_s - result.elapsed_s, 0.0)
    tried, first = len(result.candidates), result.first_feasible_s
    return Progress(stage, tried, result.elapsed_s, left, result.best, result.baseline, first)


__all__ = ["Request", "compile_into", "write"]
