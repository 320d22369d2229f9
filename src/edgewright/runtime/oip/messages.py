"""Inference requests and replies, in JSON with or without binary tensors behind it."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgewright.core.model import Signature, TensorSpec
from edgewright.core.strict import parse_json
from edgewright.runtime.faults import BadRequest
from edgewright.runtime.oip.types import NUMPY, datatype, narrow, read_bytes, widen, write_bytes

_MOST_JSON = 64 * 2**20
_MOST_ELEMENTS = 2**31


@dataclass(frozen=True)
class Wanted:
    """An output as it was asked for."""

    name: str
    binary: bool = False


@dataclass(frozen=True)
class InferRequest:
    """``outputs`` empty means all of them, as ``binary`` says. ``timeout_s``: None without a deadline."""

    inputs: Mapping[str, NDArray[Any]]
    id: str = ""
    outputs: tuple[Wanted, ...] = ()
    binary: bool = False
    priority: int = 0
    timeout_s: float | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Piece:
    """Where an input lies: ``count`` elements of ``dtype`` at ``start`` of the binary part, or inside the JSON."""

    name: str
    datatype: str
    shape: tuple[int, ...]
    start: int
    size: int
    data: Any = None

    def read(self, binary: memoryview) -> NDArray[Any]:
        """The array; a view of ``binary`` where its alignment allows that. Raises BadRequest."""
        count = math.prod(self.shape)
        if self.data is not None:
            return _from_json(self.name, self.datatype, self.shape, self.data)
        part = binary[self.start : self.start + self.size]
        if self.datatype == "BYTES":
            return read_bytes(part, count).reshape(self.shape)
        if self.datatype == "BF16":
            return widen(part).reshape(self.shape)
        array = np.frombuffer(part, NUMPY[self.datatype]).reshape(self.shape)
        return array if array.flags.aligned else array.copy()


@dataclass(frozen=True)
class Plan:
    """A JSON head, understood once: equal heads are looked up and not parsed again."""

    pieces: tuple[Piece, ...]
    size: int
    request: InferRequest
    model: tuple[str, str] = ("", "")
    """Name and version, where the JSON tells them (in frames: HTTP has them in the path)."""
    replies: dict[Any, tuple[bytes, list[int]]] = field(default_factory=dict, compare=False)
    """What the lane keeps of replies to this very head: all that comes before the tensors, and their order."""

    def inputs(self, binary: memoryview) -> dict[str, NDArray[Any]]:
        """The request's arrays. Raises BadRequest when the binary part is not as long as the head says."""
        if len(binary) != self.size:
            raise BadRequest(f"the inputs announce {self.size} bytes of binary data, {len(binary)} came")
        return {piece.name: piece.read(binary) for piece in self.pieces}


def plan(head: bytes) -> Plan:
    """What a request's JSON says. Raises BadRequest naming the field."""
    try:
        told = parse_json(head, _MOST_JSON)
    except ValueError as error:
        raise BadRequest(f"the request is no JSON that can be read: {error}") from error
    if not isinstance(told, dict):
        raise BadRequest("the request is not a JSON object")
    parameters = _object(told, "parameters")
    pieces, start = [], 0
    for one in _list(told, "inputs"):
        piece = _piece(one, start)
        pieces.append(piece)
        start += piece.size
    if not pieces:
        raise BadRequest("the request has no inputs")
    if len({piece.name for piece in pieces}) != len(pieces):
        raise BadRequest("an input is given twice")
    wanted = tuple(_wanted(one, bool(parameters.get("binary_data_output"))) for one in _list(told, "outputs", True))
    identity = told.get("id", "")
    if not isinstance(identity, str):
        raise BadRequest("'id' is not a string")
    request = InferRequest(
        {}, identity, wanted, parameters.get("binary_data_output") is True,
        _whole(parameters, "priority"), _timeout(parameters), parameters,
    )  # fmt: skip
    model = told.get("model_name", ""), told.get("model_version", "")
    if not all(isinstance(text, str) for text in model):
        raise BadRequest("'model_name' and 'model_version' are strings")
    return Plan(tuple(pieces), start, request, model)


def _piece(told: Any, start: int) -> Piece:
    if not isinstance(told, dict) or not isinstance(told.get("name"), str):
        raise BadRequest("an input has no 'name'")
    name, kind, shape = told["name"], told.get("datatype"), told.get("shape")
    if kind not in (*NUMPY, "BYTES", "BF16"):
        raise BadRequest(f"input {name!r} has no datatype of the protocol: {str(kind)[:20]!r}")
    if not isinstance(shape, list) or not all(type(n) is int and n >= 0 for n in shape):
        raise BadRequest(f"input {name!r} has no shape of whole numbers")
    count = math.prod(shape)
    if count > _MOST_ELEMENTS:
        raise BadRequest(f"input {name!r} has more than {_MOST_ELEMENTS:,} elements")
    size = _object(told, "parameters").get("binary_data_size")
    if size is None:
        if not isinstance(told.get("data"), list):
            raise BadRequest(f"input {name!r} has neither 'data' nor 'binary_data_size'")
        return Piece(name, kind, tuple(shape), start, 0, told["data"])
    if type(size) is not int or size < 0 or "data" in told:
        raise BadRequest(f"'binary_data_size' of input {name!r} is no size, or 'data' is given as well")
    each = 2 if kind == "BF16" else 0 if kind == "BYTES" else NUMPY[kind].itemsize
    if each and size != each * count:
        raise BadRequest(f"input {name!r} of shape {shape} and {kind} takes {each * count} bytes, {size} are announced")
    return Piece(name, kind, tuple(shape), start, size)


def _from_json(name: str, kind: str, shape: tuple[int, ...], data: list[Any]) -> NDArray[Any]:
    flat = _flat(data)
    if len(flat) != math.prod(shape):
        raise BadRequest(f"input {name!r} has {len(flat)} elements, its shape {list(shape)} takes {math.prod(shape)}")
    if kind == "BYTES":
        if not all(isinstance(v, str) for v in flat):
            raise BadRequest(f"input {name!r} is BYTES, whose elements are strings in JSON")
        made = np.empty(len(flat), object)
        made[:] = flat
        return made.reshape(shape)
    dtype = np.dtype("<f4") if kind == "BF16" else NUMPY[kind]
    wanted = {"b": bool, "f": (int, float), "i": int, "u": int}[dtype.kind]
    if not all(isinstance(v, wanted) and (dtype.kind == "b" or not isinstance(v, bool)) for v in flat):  # type: ignore[arg-type]
        raise BadRequest(f"input {name!r} holds an element that is no {kind}")
    try:
        return np.array(flat, dtype).reshape(shape)
    except (OverflowError, ValueError) as error:
        raise BadRequest(f"input {name!r} holds a number that {kind} cannot: {error}") from error


def _flat(data: list[Any]) -> list[Any]:
    while data and isinstance(data[0], list):
        if not all(isinstance(row, list) for row in data):
            raise BadRequest("'data' mixes rows and numbers")
        data = [value for row in data for value in row]
    return data


def _wanted(told: Any, binary: bool) -> Wanted:
    if not isinstance(told, dict) or not isinstance(told.get("name"), str):
        raise BadRequest("an output that is asked for has no 'name'")
    parameters = _object(told, "parameters")
    chosen = parameters.get("binary_data", binary)
    return Wanted(told["name"], chosen is True)


def _object(told: Mapping[str, Any], key: str) -> dict[str, Any]:
    value = told.get(key, {})
    if not isinstance(value, dict):
        raise BadRequest(f"{key!r} is not an object")
    return value


def _list(told: Mapping[str, Any], key: str, optional: bool = False) -> list[Any]:
    value = told.get(key, [] if optional else None)
    if not isinstance(value, list):
        raise BadRequest(f"{key!r} is not a list")
    return value


def _whole(told: Mapping[str, Any], key: str) -> int:
    value = told.get(key, 0)
    if type(value) is not int or value < 0:
        raise BadRequest(f"{key!r} is not a whole number")
    return value


def _timeout(parameters: Mapping[str, Any]) -> float | None:
    microseconds = _whole(parameters, "timeout")
    return microseconds / 1e6 if microseconds else None


def reply(
    model: str, version: str, identity: str, outputs: Mapping[str, NDArray[Any]], kinds: Mapping[str, str],
    wanted: Sequence[Wanted],
) -> tuple[bytes, list[bytes]]:  # fmt: skip
    """A reply's JSON and the binary tensors behind it. ``kinds``: datatypes by output name."""
    told, tensors = [], []
    for one in wanted:
        array, kind = outputs[one.name], kinds[one.name]
        entry: dict[str, Any] = {"name": one.name, "datatype": kind, "shape": list(array.shape)}
        if one.binary:
            raw = _binary(array, kind)
            entry["parameters"] = {"binary_data_size": len(raw)}
            tensors.append(raw)
        else:
            entry["data"] = _plain(array, kind)
        told.append(entry)
    head: dict[str, Any] = {"model_name": model, "model_version": version, "outputs": told}
    if identity:
        head["id"] = identity
    return json.dumps(head, separators=(",", ":"), ensure_ascii=False).encode(), tensors


def _binary(array: NDArray[Any], kind: str) -> bytes:
    if kind == "BYTES":
        return write_bytes(array)
    return narrow(array) if kind == "BF16" else np.ascontiguousarray(array).tobytes()


def _plain(array: NDArray[Any], kind: str) -> list[Any]:
    flat = array.ravel().tolist()
    if kind == "BYTES":
        return [v.decode("utf-8", "replace") if isinstance(v, bytes) else str(v) for v in flat]
    return flat


def metadata(name: str, versions: Sequence[str], platform: str, signature: Signature) -> dict[str, Any]:
    """What ``GET /v2/models/NAME`` answers; open sizes are -1."""

    def told(spec: TensorSpec) -> dict[str, Any]:
        shape = [size if isinstance(size, int) else -1 for size in spec.shape]
        return {"name": spec.name, "datatype": datatype(spec.dtype), "shape": shape}

    return {
        "name": name, "versions": list(versions), "platform": platform,
        "inputs": [told(spec) for spec in signature.inputs], "outputs": [told(spec) for spec in signature.outputs],
    }  # fmt: skip
