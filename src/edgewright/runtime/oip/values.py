"""Tensors in JSON: values to arrays, and arrays to values that every JSON parser reads."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from edgewright.runtime.aside import Steps
from edgewright.runtime.faults import BadRequest
from edgewright.runtime.oip.types import NUMPY

_NOT_FINITE = {"NaN", "Infinity", "-Infinity"}
"""JSON has no such numbers (RFC 8259, section 6). They travel as strings, as in protobuf's JSON mapping: numpy and
Python's ``float`` read them back."""
_PIECE = 8192
"""Elements that are written at a time: a millisecond's work."""
_OBJECT = np.dtype(object)
_TYPES: dict[str, set[type]] = {"b": {bool}, "f": {int, float}, "i": {int}, "u": {int}}


def from_json(name: str, kind: str, shape: tuple[int, ...], data: list[Any]) -> NDArray[Any]:
    """The array of that datatype and shape; ``data`` is flat or in rows. Raises BadRequest."""
    flat = _flat(name, data)
    types = set(map(type, flat))
    if kind == "BYTES":
        if not types <= {str}:
            raise BadRequest(f"input {name!r} is BYTES, whose elements are strings in JSON")
        return _array(name, kind, shape, flat)
    family = "f" if kind == "BF16" else NUMPY[kind].kind
    strings = str in types and family == "f" and {v for v in flat if isinstance(v, str)} <= _NOT_FINITE
    if not (types - {str} if strings else types) <= _TYPES[family]:
        raise BadRequest(f"input {name!r} holds an element that is no {kind}")
    return _array(name, kind, shape, [float(v) for v in flat] if strings else flat)


def _array(name: str, kind: str, shape: tuple[int, ...], flat: list[Any]) -> NDArray[Any]:
    if len(flat) != math.prod(shape):
        raise BadRequest(f"input {name!r} has {len(flat)} elements, its shape {list(shape)} takes {math.prod(shape)}")
    dtype = np.dtype("<f4") if kind == "BF16" else NUMPY.get(kind, _OBJECT)
    try:
        with np.errstate(over="raise"):
            return np.array(flat, dtype).reshape(shape)
    except (OverflowError, ValueError, FloatingPointError) as error:
        raise BadRequest(f"input {name!r} holds a number that {kind} cannot: {error}") from error


def from_numbers(name: str, kind: str, shape: tuple[int, ...], numbers: bytes) -> NDArray[Any]:
    """As ``from_json``, of the JSON of a flat list that holds nothing but numbers. Raises BadRequest."""
    try:
        flat = orjson.loads(numbers)
    except ValueError as error:
        raise BadRequest(f"the request is no JSON that can be read: {error}, in 'data' of input {name!r}") from error
    if kind not in NUMPY or NUMPY[kind].kind != "f":
        return from_json(name, kind, shape, flat)
    return _array(name, kind, shape, flat)


def _flat(name: str, data: list[Any]) -> list[Any]:
    while data and isinstance(data[0], list):
        width = len(data[0])
        if not all(isinstance(row, list) and len(row) == width for row in data):
            raise BadRequest(f"'data' of input {name!r} mixes rows with numbers, or rows of different lengths")
        data = [value for row in data for value in row]
    return data


def level(name: str, data: list[Any]) -> tuple[list[Any], int]:
    """What lies in rows of whatever lengths, and how deep: 1 for a list without rows. Raises BadRequest."""
    depth = 1
    while data and isinstance(data[0], list):
        if not all(isinstance(row, list) for row in data):
            raise BadRequest(f"'data' of input {name!r} mixes rows with numbers")
        data, depth = [value for row in data for value in row], depth + 1
    return data, depth


def to_json(name: str, array: NDArray[Any], kind: str, most: int) -> Steps[list[bytes]]:
    """The elements in row-major order as a JSON list, in pieces; each float with the digits that its own width needs.
    Raises BadRequest beyond ``most`` bytes, and for BYTES that are no text: those travel as binary only."""
    flat, size = array.ravel(), 0
    made = [b"["]
    for start in range(0, flat.size, _PIECE):
        if start:
            made.append(b",")
            yield
        piece = orjson.dumps(_values(name, flat[start : start + _PIECE], kind), option=orjson.OPT_SERIALIZE_NUMPY)
        made.append(piece[1:-1])
        size += len(piece)
        if size > most:
            raise BadRequest(f"output {name!r} has more than {most:,} bytes in JSON: ask for it with binary_data")
    made.append(b"]")
    return made


def _values(name: str, flat: NDArray[Any], kind: str) -> Sequence[Any] | NDArray[Any]:
    if kind == "BYTES":
        try:
            return [v.decode() if isinstance(v, bytes) else str(v) for v in flat.tolist()]
        except UnicodeDecodeError as error:
            raise BadRequest(f"output {name!r} holds bytes that are no UTF-8: ask for it with binary_data") from error
    if not finite(flat):
        return [v if math.isfinite(v) else _word(v) for v in flat.tolist()]
    return np.ascontiguousarray(flat)


def finite(array: NDArray[Any]) -> bool:
    """Whether JSON has all the numbers in ``array``."""
    return array.dtype.kind != "f" or np.count_nonzero(np.isfinite(array)) == array.size  # all() takes twice as long


def spelled(array: NDArray[Any]) -> bytes:
    """Finite numbers as the JSON of a flat list, as ``to_json`` has them spelled."""
    return orjson.dumps(np.ascontiguousarray(array.ravel()), option=orjson.OPT_SERIALIZE_NUMPY)


def _word(value: float) -> str:
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
