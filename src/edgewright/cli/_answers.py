"""Answers of a served model as text and as JSON: its classes where they are known, its tensors where not."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgewright.core.errors import InputError
from edgewright.datasets.postprocessing import INDICES, LABELS, SCORES, Postprocessing, best, named
from edgewright.runtime.oip.answers import Answered

_MOST_ROWS = 10
_FLOATS = ("FP16", "BF16", "FP32", "FP64")
Classes = list[list[dict[str, Any]]]
"""For each sample the classes, best first: ``index``, ``label`` and ``score``."""


def wanted_outputs(told: Mapping[str, Any], top: int | None, extensions: Sequence[str]) -> list[dict[str, Any]]:
    """What to ask for: nothing in particular, unless ``top`` classes are wanted of a model that declares none, from a
    server that ranks and names them itself."""
    if top is None or _declared(told) is not None or "classification" not in extensions:
        return []
    chosen = [spec["name"] for spec in told["outputs"] if spec["datatype"] in _FLOATS and spec["shape"] != []]
    return [{"name": name, "parameters": {"classification": top}} for name in chosen[:1]]


def classes_in(answered: Answered, told: Mapping[str, Any], top: int | None, ranked: bool) -> Classes | None:
    """The classes told by an answer, None where it tells none. ``ranked``: the server was asked for them."""
    outputs = answered.outputs
    if ranked:
        return _parsed(next(iter(outputs.values())))
    declared = _declared(told)
    if declared is None:
        if top is None:
            return None
        array = next(
            (array for array in outputs.values() if array.size and array.ndim and array.dtype.kind == "f"), None
        )
        if array is None:
            raise InputError("--top ranks the numbers of a vector or of each sample, and the model answers none")
        return _best(array, top, _labels(told))
    if top is not None or not _decided(outputs):
        made = declared if top is None else replace(declared, top=top)
        if made.output not in outputs:
            return None
        outputs = made.apply(outputs, _labels(told))
    columns = (outputs[INDICES].tolist(), outputs[LABELS].tolist(), outputs[SCORES].tolist())
    return [
        [{"index": i, "label": _text(label), "score": _finite(s)} for i, label, s in zip(*row, strict=True) if i >= 0]
        for row in zip(*columns, strict=True)
    ]


def shown(path: Path, answered: Answered, classes: Classes | None, took_ms: float) -> Iterator[str]:
    """Lines for people. What a server sends must not reach the terminal as commands: only printable text does."""
    safe = "  FAIL-SAFE: declared for a missed deadline, not computed" if answered.safe else ""
    yield f"{_printable(str(path))}  {took_ms:.3g} ms{safe}"
    if classes is None:
        for name, array in answered.outputs.items():
            values = np.array2string(array, precision=4, threshold=20, edgeitems=3, max_line_width=100)
            kind = answered.datatypes.get(name, array.dtype.name)
            yield f"  {_printable(name)}  {kind} {list(array.shape)}  {_printable(' '.join(values.split()))}"
        return
    for place, row in enumerate(classes[:_MOST_ROWS]):
        if len(classes) > 1:
            yield f"  sample {place}"
        if not row:
            yield "  no class reaches the threshold"
        width = max((len(_printable(one["label"])) for one in row), default=0)
        for one in row:
            score = "nan" if one["score"] is None else f"{one['score']:.4g}"
            yield f"  {one['index']:>4}  {_printable(one['label']).ljust(width)}  {score}"
    if len(classes) > _MOST_ROWS:
        yield f"  and {len(classes) - _MOST_ROWS} samples more; --json tells all"


def plain(answered: Answered) -> dict[str, Any]:
    """Outputs as JSON values: name to datatype, shape and flat data; what is no number in JSON is null."""
    return {
        name: {
            "datatype": answered.datatypes.get(name, array.dtype.name), "shape": list(array.shape),
            "data": [_finite(value) if isinstance(value, float) else _text(value) for value in array.ravel().tolist()],
        }
        for name, array in answered.outputs.items()
    }  # fmt: skip


def _best(array: NDArray[Any], top: int, labels: Sequence[str]) -> Classes:
    """The ``top`` largest of each sample (n, ...), or of a vector (k,), as the protocol's classification has it."""
    samples = array.reshape(len(array) if array.ndim > 1 else 1, -1)
    order = best(samples, top)
    columns = order.tolist(), named(order, labels).tolist(), np.take_along_axis(samples, order, axis=1).tolist()
    return [
        [{"index": i, "label": label, "score": _finite(score)} for i, label, score in zip(*row, strict=True)]
        for row in zip(*columns, strict=True)
    ]


def _declared(told: Mapping[str, Any]) -> Postprocessing | None:
    parameters = told.get("parameters")
    value = parameters.get("postprocessing") if isinstance(parameters, dict) else None
    return Postprocessing.from_json(value) if isinstance(value, dict) else None


def _decided(outputs: Mapping[str, NDArray[Any]]) -> bool:
    """Whether the server decided by itself, as ours does of images."""
    if not all(name in outputs for name in (INDICES, LABELS, SCORES)):
        return False
    kinds = outputs[INDICES].dtype.kind + outputs[LABELS].dtype.kind + outputs[SCORES].dtype.kind
    shapes = {outputs[name].shape for name in (INDICES, LABELS, SCORES)}
    return kinds == "iOf" and len(shapes) == 1 and outputs[INDICES].ndim == 2


def _labels(told: Mapping[str, Any]) -> list[str]:
    found = (told.get("parameters") or {}).get("labels", [])
    return [str(label) for label in found] if isinstance(found, list) else []


def _parsed(ranked: NDArray[Any]) -> Classes:
    """``value:index`` or ``value:index:label``, as Triton writes classes."""
    rows: Classes = []
    for row in ranked.reshape(-1, ranked.shape[-1]) if ranked.ndim else ranked.reshape(1, 1):
        made = []
        for entry in row.tolist():
            value, _, rest = str(_text(entry)).partition(":")
            index, _, label = rest.partition(":")
            try:
                made.append({"index": int(index), "label": label or index, "score": _finite(float(value))})
            except ValueError as error:
                raise InputError(f"the server tells a class as {str(_text(entry))[:60]!r}") from error
        rows.append(made)
    return rows


def _text(value: Any) -> Any:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text)
