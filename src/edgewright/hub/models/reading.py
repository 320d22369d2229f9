"""Reading what was uploaded: here, in a child process that is shut off from all but its folder. What it answers is
checked like a stranger's (``answers``): a hostile file may have taken it over.
"""

from __future__ import annotations

import contextlib
import hashlib
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from edgewright.core.errors import InputError, MissingExtra
from edgewright.core.model import Model
from edgewright.datasets import Dataset, dataset
from edgewright.datasets.decode import decode
from edgewright.datasets.source import ArraySource, ImageSource
from edgewright.formats import load
from edgewright.hub.models.unpacking import common_root, unpack

MOST_UNPACKED = 32 * 2**30
MOST_LAYERS = 20_000
_TOLD, _DECODED = 200, 16
_FACTS = (
    "opsets", "operators", "parameters", "weight_bytes", "unread_weight_bytes", "macs", "flops",
    "peak_activation_bytes", "peak_activation_in_place_bytes", "arena_bytes", "family", "domain", "quantized", "notes",
    "unknown",
)  # fmt: skip


@contextlib.contextmanager
def _equipped() -> Iterator[None]:
    """What is refused because the hub lacks a library is refused in words that say so. Raises InputError."""
    try:
        yield
    except MissingExtra as error:
        raise InputError(
            f"this hub cannot read such a file yet: {error}, where the hub runs; then upload it again"
        ) from error


def read_model(argument: Mapping[str, str]) -> dict[str, Any]:
    """In the child: ``path`` in its folder; what the model is, and where the files of its ONNX form lie."""
    path = Path(argument["path"])
    with _equipped():
        found = load(_as_onnx(path))
    plain = path.suffix == ".onnx" and hashlib.sha256(found.data).hexdigest() == argument["sha256"]
    if plain:
        files = {found.main: path.name}
    else:
        files = {name: f"ready/{name}" for name in found.files}
        for name, place in files.items():
            Path(place).parent.mkdir(parents=True, exist_ok=True)
            Path(place).write_bytes(found.files[name])
    facts, layers = _inspected(found)
    return {
        "format": path.suffix.removeprefix("."), "digest": found.digest, "signature": found.signature.to_json(),
        "files": files, "facts": facts, "layers": layers,
    }  # fmt: skip


def _as_onnx(path: Path) -> Path:
    """The ONNX file in, or of, what was uploaded."""
    if path.suffix == ".zip":
        unpack(path, Path("in"), _room())
        models = sorted(Path("in").rglob("*.onnx"))
        if len(models) != 1:
            raise InputError(f"the archive holds {len(models)} .onnx files; zip one, with its data files beside it")
        return models[0]
    if path.suffix == ".pt2":
        from edgewright.formats.exported import check_archive
        from edgewright.formats.libraries import require

        require("torch", "onnxscript")
        from edgewright.formats import torchexport

        check_archive(path)
        torchexport.write_in_child(path.name)
        return Path(torchexport.WRITTEN)
    if path.suffix == ".skops":
        from edgewright.formats import sklearnexport

        path.rename("estimator.skops")
        sklearnexport.write_in_child("estimator.onnx")
        return Path("estimator.onnx")
    return path


def _inspected(model: Model) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Figures and layers; a graph that cannot be counted is told as such, and is a model all the same."""
    from edgewright.advice.inspection import inspect

    try:
        found = inspect(model)
    except InputError as error:
        return {"unknown": [str(error)[:_TOLD]]}, []
    told = found.to_json()
    costs = {one["name"]: one for one in told["costs"] or ()}
    layers = []
    shaped = found.shaped
    for node in shaped.graph.nodes[:MOST_LAYERS] if shaped is not None else ():
        cost = costs.get(node.name, {})
        sizes = [shaped.facts[name] for name in node.outputs if shaped is not None and name in shaped.facts]
        layers.append(
            {
                "name": node.name, "op": node.kind, "inputs": list(node.reads), "outputs": list(node.outputs),
                "shapes": [list(one.shape) for one in sizes], "dtypes": [one.dtype for one in sizes],
                **{k: cost.get(k, 0) for k in ("macs", "flops", "weight_bytes", "read_bytes", "written_bytes")},
                "bits": cost.get("bits"),
            }
        )  # fmt: skip
    return {name: told[name] for name in _FACTS}, layers


def read_data(argument: Mapping[str, Any]) -> dict[str, Any]:
    """In the child: ``path`` in its folder, to be read as ``reading`` says; what the samples are."""
    with _equipped():
        found = open_data(Path(argument["path"]), argument["reading"])
    source = found.source
    facts: dict[str, Any] = {"notes": list(found.notes)[:_TOLD], "classes": list(found.classes)[:_TOLD]}
    if isinstance(source, ImageSource):
        step = max(len(source.paths) // _DECODED, 1)
        for path in source.paths[::step]:
            decode(path.read_bytes(), 3, path.name)
        facts |= {"samples": len(source.paths), "inputs": [{"name": "images", "dtype": "uint8", "shape": [None] * 3}]}
    elif isinstance(source, ArraySource):
        counts = [len(array) for array in source.arrays.values() if array.ndim]
        inputs = [
            {"name": n, "dtype": a.dtype.name, "shape": list(a.shape[1:])} for n, a in sorted(source.arrays.items())
        ]
        facts |= {"samples": max(counts, default=0), "inputs": inputs[:_TOLD]}
    labels = found.labels
    facts["labels"] = None
    if labels is not None:
        whole = np.issubdtype(labels.dtype, np.integer)
        facts["labels"] = {"kind": "classes" if whole else "values", "count": len(labels)}
        if whole and labels.ndim == 1:
            facts["labels"]["classes"] = len(np.unique(labels))
    if not facts["samples"]:
        raise InputError("there are no samples in it; save arrays with a row for each sample")
    return facts


def open_data(path: Path, reading: Mapping[str, Any]) -> Dataset:
    """The Dataset in a file that was uploaded; an archive of images is unpacked beside it. Raises InputError."""
    if path.suffix == ".zip":
        unpack_data({"path": path.name})
        path = common_root(Path("images"))
    try:
        return dataset(path.resolve(), **reading)
    except InputError as error:  # where the hub's files lie is nobody's business
        raise InputError(str(error).replace(f"{path.resolve().parent}/", "")) from error


def unpack_data(argument: Mapping[str, str]) -> None:
    """In the child: an archive of images into the folder ``images`` beside it."""
    folder = Path("images")
    folder.mkdir()
    unpack(Path(argument["path"]), folder, _room())


def _room() -> int:
    """What an archive may unpack to (B): the disk is also the hub's, and what is unpacked is stored besides."""
    return min(MOST_UNPACKED, shutil.disk_usage(".").free // 3)
