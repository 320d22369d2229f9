"""What can be told of models that are not ONNX graphs, and what cannot."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from xml.parsers import expat

from edgewright.core.errors import InputError
from edgewright.core.model import Model
from edgewright.formats.ortbuffer import operators

_UNTOLD = (
    "multiply-accumulates, activation memory, family and coverage are told of ONNX graphs only: "
    "inspect the ONNX model this one was made of"
)
_LAYER_LIMIT = 1_000_000


@dataclass(frozen=True)
class Foreign:
    """Operators by name, bytes of constants (None: not told), versions, and what stays unknown."""

    histogram: Mapping[str, int]
    stored_bytes: int | None
    opsets: Mapping[str, int]
    notes: tuple[str, ...]
    unknown: tuple[str, ...]


def inspect_foreign(model: Model) -> Foreign:
    """What the file of an OpenVINO IR or an ORT-format model tells. Raises InputError for any other format."""
    if model.format == "openvino":
        return _openvino(model)
    if model.format == "ort":
        return _ort(model)
    raise InputError(f"a {model.format} model has no graph to inspect; load it as ONNX first")


class _Layers:
    """Counts ``<layer>`` elements and adds up what ``Const`` layers hold."""

    def __init__(self) -> None:
        self.kinds: Counter[str] = Counter()
        self.stored = 0
        self.version = 0
        self._constant = False

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if name == "net":
            self.version = int(attributes.get("version", "0") or 0)
        elif name == "layer":
            kind = attributes.get("type", "?")
            self._constant = kind == "Const"
            self.kinds[kind] += 1
            if self.kinds.total() > _LAYER_LIMIT:
                raise InputError(f"the IR has more than {_LAYER_LIMIT:,} layers")
        elif name == "data" and self._constant:
            self.stored += int(attributes.get("size", "0"))


def _openvino(model: Model) -> Foreign:
    layers = _Layers()
    parser = expat.ParserCreate()
    parser.StartElementHandler = layers.start
    parser.StartDoctypeDeclHandler = _no_document_type
    try:
        parser.Parse(model.data, True)
    except (expat.ExpatError, ValueError) as error:
        raise InputError(f"the IR cannot be read: {str(error)[:120]}; convert the model again") from error
    inside = {"Const", "Parameter", "Result"}
    histogram = {kind: count for kind, count in layers.kinds.most_common() if kind not in inside}
    notes = []
    if layers.kinds["FakeQuantize"]:
        notes.append(f"{layers.kinds['FakeQuantize']} FakeQuantize layers: quantized for OpenVINO's INT8")
    return Foreign(histogram, layers.stored, {"ir": layers.version}, tuple(notes), (_UNTOLD,))


def _no_document_type(*_: object) -> None:
    raise InputError("the IR declares a document type, which no IR needs; convert the model again")


def _ort(model: Model) -> Foreign:
    try:
        found = operators(model.data)
    except ValueError as error:
        return Foreign({}, None, {}, (), (f"operators: {error}", _UNTOLD))
    counted = Counter(f"{domain}.{op}" if domain else op for domain, op in found)
    note = "operators as ONNX Runtime fused them when the file was written; some hold for one CPU only"
    return Foreign(dict(counted.most_common()), None, {}, (note,), ("bytes of the weights", _UNTOLD))
