"""Prepared: a source as the child left it in a private folder, and as the server reads it from there."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgewright.bundles import Call, Golden, Tolerance
from edgewright.bundles.arrays import arrays_bytes, arrays_from
from edgewright.core.model import FilesIn, Model, Signature
from edgewright.core.session import Arrays, EngineOptions
from edgewright.runtime.loading.sources import Source

_ABOUT, _MODEL = "source.json", "model"
_PLAIN = "name", "version", "engine", "digest", "latency_ms", "unready", "written_ns"


def write_prepared(source: Source, folder: Path) -> None:
    """All of ``source`` but its model's files, which lie in ``folder / "model"`` already."""
    model, golden = source.model, source.golden
    about = {
        **{key: getattr(source, key) for key in _PLAIN},
        "labels": list(source.labels),
        "preprocessing": None if source.preprocessing is None else dict(source.preprocessing),
        "postprocessing": None if source.postprocessing is None else dict(source.postprocessing),
        "options": source.options.to_json(),
        "model": {"format": model.format, "main": model.main, "files": list(model.files)},
        "signature": model.signature.to_json(),
        "golden": None if golden is None else _golden(golden, folder),
    }
    (folder / _ABOUT).write_text(json.dumps(about))


def read_prepared(folder: Path) -> Source:
    """The source that lies there."""
    about = json.loads((folder / _ABOUT).read_text())
    told, golden = about.pop("model"), about.pop("golden")
    files = FilesIn(folder / _MODEL, told["files"])
    model = Model(told["format"], told["main"], files, Signature.from_json(about.pop("signature")))
    return Source(
        **{**about, "labels": tuple(about["labels"]), "options": EngineOptions(**about["options"])},
        model=model,
        golden=None if golden is None else _read_golden(golden, folder),
    )


def model_folder(folder: Path) -> Path:
    """Where the model's own files belong."""
    return folder / _MODEL


def _golden(golden: Golden, folder: Path) -> dict[str, Any]:
    sides: dict[str, list[Arrays]] = {
        "inputs": [call.inputs for call in golden.calls], "outputs": [call.outputs for call in golden.calls],
    }  # fmt: skip
    for side, calls in sides.items():
        for number, name in enumerate(calls[0]):
            (folder / f"{side}-{number}.npy").write_bytes(arrays_bytes([call[name] for call in calls]))
    names = {side: list(calls[0]) for side, calls in sides.items()}
    return {**names, "tolerances": {name: vars(t) for name, t in golden.tolerances.items()}}


def _read_golden(told: Mapping[str, Any], folder: Path) -> Golden:
    def calls(side: str) -> list[dict[str, Any]]:
        kept = [arrays_from((folder / f"{side}-{n}.npy").read_bytes()) for n in range(len(told[side]))]
        return [dict(zip(told[side], values, strict=True)) for values in zip(*kept, strict=True)]

    pairs = zip(calls("inputs"), calls("outputs"), strict=True)
    tolerances = {name: Tolerance(**value) for name, value in told["tolerances"].items()}
    return Golden(tuple(Call(inputs, outputs) for inputs, outputs in pairs), tolerances)
