"""The record of a run: ``report.json``, the candidates' folders and the page, each written whole or not at all."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgewright import __version__
from edgewright.compression.contract import versions
from edgewright.compression.passes.int8_static import Int8Static
from edgewright.compression.quantization.sensitivity import sensitivities
from edgewright.core.candidate import Candidate, Steps
from edgewright.core.errors import EdgewrightError
from edgewright.core.files import write_file, write_folder
from edgewright.core.model import Model
from edgewright.flows.kept import CANDIDATE
from edgewright.flows.outcome import Result
from edgewright.flows.place import SCHEMA
from edgewright.graphs.costs import workload
from edgewright.measurement.conditions import environment
from edgewright.measurement.profile import by_type, profile
from edgewright.measurement.subject import open_sizes


@dataclass(frozen=True)
class Origin:
    """Where a run's inputs came from, for the command that makes it again: paths as given, or None in Python.

    ``reading``: how the data were read, as ``dataset`` takes it.
    """

    model: str | None = None
    data: str | None = None
    target: str = "host"
    arguments: tuple[str, ...] = ()
    reading: Mapping[str, Any] = field(default_factory=dict)


def candidate_path(candidate: Candidate) -> str:
    """A candidate's folder, relative to the report."""
    return f"candidates/{candidate.id}"


def document(result: Result, origin: Origin) -> dict[str, Any]:
    """The report as a JSON value; ``reports.render`` makes the page of it and nothing else."""
    binding = result.binding
    written = {c.id for c in kept(result)}
    prepared = result.bound.preprocessing  # what was assumed counts as much as what was declared
    return {
        "schema": SCHEMA,
        "edgewright": __version__,
        "model": _model(result, origin),
        "data": {
            "source": origin.data, "preprocessing": None if prepared is None else prepared.to_json(),
            "labels": origin.reading.get("labels"), "missing": origin.reading.get("missing", "refuse"),
            **result.splits.to_json(),
        },
        "metric": result.choice.to_json(),
        "target": result.target.to_json(),
        "settings": _settings(result),
        "constraints": [
            {"metric": c.metric, "sense": c.sense, "limit": c.limit, "unit": c.unit} for c in result.constraints
        ],
        "baseline": _entry(result, result.baseline, None),
        "best": None if result.best is None else result.best.id,
        "pareto": [c.id for c in result.pareto],
        "nearest": [c.id for c in result.nearest],
        "binding": None if binding is None else binding.to_json(),
        "stopped": result.stopped,
        "notes": list(result.notes),
        "elapsed_s": round(result.elapsed_s, 2),
        "first_feasible_s": None if result.first_feasible_s is None else round(result.first_feasible_s, 2),
        "candidates": [_entry(result, c, candidate_path(c) if c.id in written else None) for c in result.candidates],
        "sensitivity": _sensitivity(result),
        "profiles": _profiles(result),
        "reproduce": _command(origin),
        "environment": {**environment(), "versions": versions()},
    }  # fmt: skip


def kept(result: Result) -> list[Candidate]:
    """The candidates whose files are written: the finalists and those that came nearest."""
    chosen = {c.id: c for c in (*result.finals, *result.nearest) if c.metrics}
    return list(chosen.values())


def write_candidates(result: Result, folder: Path) -> None:
    """Each kept candidate's model and ``candidate.json``."""
    for c in kept(result):
        files = candidate_files(c.id, c.recipe, c.engine, c.options.to_json(), c.model)
        write_folder(folder / candidate_path(c), files)


def candidate_files(
    identity: str, recipe: Steps, engine: str, options: Mapping[str, Any], model: Model
) -> dict[str, bytes]:
    """What a candidate's folder holds, by name: its model and ``candidate.json``, which says how to run it."""
    head = {
        "id": identity, "recipe": [dict(s) for s in recipe], "engine": engine, "format": model.format,
        "engine_options": dict(options), "digest": model.digest, "main": model.main,
    }  # fmt: skip
    return {**model.files, CANDIDATE: encode(head)}


def write_report(report: Mapping[str, Any], folder: Path) -> None:
    """``report.json`` and the page."""
    from edgewright.reports import render

    write_file(folder / "report.html", render(report).encode())
    write_file(folder / "report.json", encode(report))


def encode(value: Any) -> bytes:
    """JSON for people and programs: sorted keys would hide the reading order, so it is kept."""
    return (json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()


def _model(result: Result, origin: Origin) -> dict[str, Any]:
    source = result.source
    cost = workload(source, dims=open_sizes(source.signature, result.inputs[0]))
    return {
        "source": origin.model, "digest": source.digest, "format": source.format, "size_bytes": source.size_bytes,
        "signature": source.signature.to_json(), "parameters": cost.parameters, "macs": cost.macs,
        "weight_bytes": cost.weight_bytes, "peak_activation_bytes": cost.peak_activation_bytes,
    }  # fmt: skip


def _settings(result: Result) -> dict[str, Any]:
    chosen = result.settings
    return {
        "budget_s": chosen.budget_s, "seed": chosen.seed, "threads": chosen.threads, "metric": chosen.metric,
        "keep_structure": chosen.keep_structure, "engines": list(chosen.engines), "preference": vars(chosen.preference),
        "only": None if chosen.only is None else chosen.only.to_json(),
    }  # fmt: skip


def _entry(result: Result, candidate: Candidate, path: str | None) -> dict[str, Any]:
    accuracy = result.accuracies.get(candidate.id)
    facts = dict(result.facts.get(candidate.id, {}))
    return {
        **candidate.to_json(path or ""),
        "path": path,
        "final": accuracy is not None and candidate.id in {result.baseline.id, *(c.id for c in result.finals)},
        "steps": facts.get("steps", []),
        "latency": facts.get("latency"),
        "missing": facts.get("missing", {}),
        "accuracy": None if accuracy is None else accuracy.to_json(),
    }


def _sensitivity(result: Result) -> list[dict[str, Any]]:
    """Per layer of the network the best candidate (or the first finalist) was quantized from."""
    shown = result.best or (result.finals[0] if result.finals else None)
    if shown is None:
        return []
    from edgewright.compression.recipe import Recipe

    numbers = ("int8_static", "int8_dynamic", "mixed_precision", "fp16", "int4_weights", "strip")
    steps = tuple(s for s in shown.recipe if s["pass"] not in numbers)
    with suppress(EdgewrightError):
        network = Recipe(steps)(result.source, result.context)
        if network.status != "refused":
            found = sensitivities(network.model, Int8Static(), result.context)
            return [{"layer": s.layer, "op_type": s.op_type, "sqnr_db": round(s.sqnr_db, 2)} for s in found]
    return []


def _profiles(result: Result) -> dict[str, Any]:
    """Where the time goes, for the original and the best, by operator type and the slowest operators."""
    if result.target.name != "host":
        return {}
    found = {}
    for c in (result.baseline, result.best):
        if c is None:
            continue
        with suppress(EdgewrightError):
            rows = profile(c.model, c.engine, c.options, result.inputs, budget_s=1.0)
            found[c.id] = {
                "by_type": [row.to_json() for row in by_type(rows)],
                "slowest": [row.to_json() for row in rows[:20]],
            }
    return found


def _command(origin: Origin) -> str:
    if origin.model is None or origin.data is None:
        return ""
    return shlex.join(["edgewright", "optimize", origin.model, "--data", origin.data, *origin.arguments])


__all__ = ["Origin", "document", "encode", "kept", "write_candidates", "write_report"]
