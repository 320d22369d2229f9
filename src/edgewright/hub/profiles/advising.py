"""Advice on a model for many targets at once: here, in a child process that is shut off."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from edgewright.advice.choose import advise_on
from edgewright.advice.coverage import covers
from edgewright.advice.inspection import Inspection, inspect
from edgewright.core.errors import InputError
from edgewright.formats import load
from edgewright.targets import Target
from edgewright.targets.fit import needed_bytes
from edgewright.targets.schema import read_document

_TIGHT = 0.7
"""From this share of the room on an engine's own need may be what is too much."""


def advise_all(argument: Mapping[str, Any]) -> dict[str, Any]:
    """In the child: what is told of ``path`` on each of ``targets`` (documents by digest)."""
    found = inspect(load(Path(argument["path"])))
    return {digest: _told(found, read_document(one, "the target")) for digest, one in argument["targets"].items()}


def _told(found: Inspection, target: Target) -> dict[str, Any]:
    shaped, costs = found.shaped, found.workload
    if shaped is None or costs is None:
        raise InputError("advice needs an ONNX graph")
    advice = advise_on(replace(found, coverage=tuple(covers(shaped, costs, target.isa))), target)
    size = found.model.size_bytes
    shares = {
        "memory": needed_bytes(costs, size, target) / target.ram_model.value,
        "storage": size / (target.storage if target.max_model is None else target.max_model).value,
    }
    told = advice.to_json()
    verdict = "does not fit" if advice.problems else "tight" if max(shares.values()) > _TIGHT else "fits"
    kept = ("problems", "remedies", "latency", "accelerated", "engine", "also", "number_types", "recipe", "framework")
    return {"verdict": verdict, "shares": shares, **{name: told[name] for name in kept}}
