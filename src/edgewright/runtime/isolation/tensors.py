"""Tensors in a region: where each lies, told in a header of JSON.

Requests of one shape have one header: it is made once, and the other side reads it once.
"""

from __future__ import annotations

import json
import math
import mmap
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgewright.core.strict import parse_json

Arrays = Mapping[str, NDArray[Any]]
HEADER_BYTES = 128 * 1024
_ALIGNED = 64
_MEMO = 64
_MAX_RANK = 64
_DTYPES = {
    name: np.dtype(name)
    for name in (
        "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float16", "float32",
        "float64",
    )
}  # fmt: skip
_TEXT = ("str", "bytes")


class TooSmallError(Exception):
    """The region does not hold what is to be written; ``need`` bytes would."""

    def __init__(self, need: int) -> None:
        super().__init__(need)
        self.need = need


class Writer:
    """Puts arrays into a region and tells where in a header."""

    def __init__(self) -> None:
        self._memory: mmap.mmap | None = None
        self._plans: dict[Any, tuple[bytes, list[NDArray[Any]]]] = {}

    def attach(self, memory: mmap.mmap) -> None:
        """Write there from now on."""
        self._memory = memory
        self._plans.clear()

    def write(self, arrays: Arrays) -> bytes:
        """The header. Raises TooSmallError, ValueError for a dtype that cannot travel."""
        key = tuple([(name, array.dtype, array.shape) for name, array in arrays.items()])
        plan = self._plans.get(key)
        if plan is None:
            plan = self._plan(arrays, key)
        header, views = plan
        for view, array in zip(views, arrays.values(), strict=False):
            view[...] = array
        return header

    def _plan(self, arrays: Arrays, key: Any) -> tuple[bytes, list[NDArray[Any]]]:
        told, packed, starts, place, fixed = [], [], list[int](), 0, True
        for name, array in arrays.items():
            kind, raw = array.dtype.name, array
            if array.dtype.kind in "OSU":
                kind, raw = _pack(array)
                fixed = False
            elif kind not in _DTYPES:
                raise ValueError(f"{name!r} is {kind}, which cannot be handed to another process")
            told.append([name, kind, list(array.shape), place, raw.nbytes])
            packed.append(raw)
            starts.append(place)
            place += -(-raw.nbytes // _ALIGNED) * _ALIGNED
        memory = self._memory
        if memory is None or place > len(memory):
            raise TooSmallError(max(place, 1))
        header = json.dumps(told, separators=(",", ":")).encode()
        if len(header) > HEADER_BYTES:
            raise ValueError(f"its {len(told)} tensors have names too long to be handed to another process")
        views: list[NDArray[Any]] = [
            np.ndarray(raw.shape, raw.dtype.newbyteorder("="), memory, start)
            for start, raw in zip(starts, packed, strict=True)
        ]
        if fixed:
            if len(self._plans) >= _MEMO:
                self._plans.clear()
            self._plans[key] = header, views
            return header, views
        for view, raw in zip(views, packed, strict=True):
            view[...] = raw
        return header, []


class Reader:
    """Finds the arrays that a header tells of in a region."""

    def __init__(self) -> None:
        self._memory: mmap.mmap | None = None
        self._known: dict[bytes, dict[str, NDArray[Any]]] = {}

    def attach(self, memory: mmap.mmap) -> None:
        """Read there from now on."""
        self._memory = memory
        self._known.clear()

    def read(self, header: bytes) -> dict[str, NDArray[Any]]:
        """The arrays, as views of the region (text is copied). Raises ValueError for a header that is not right.

        The dict is the reader's own, and the same for the same header.
        """
        found = self._known.get(header)
        if found is None:
            found, fixed = self._read(header)
            if fixed:
                if len(self._known) >= _MEMO:
                    self._known.clear()
                self._known[header] = found
        return found

    def _read(self, header: bytes) -> tuple[dict[str, NDArray[Any]], bool]:
        told = parse_json(header, HEADER_BYTES)
        memory, fixed = self._memory, True
        if not isinstance(told, list) or memory is None:
            raise ValueError("it is no list of tensors")
        found: dict[str, NDArray[Any]] = {}
        for one in told:
            name, kind, shape, start, size = _checked(one, len(memory))
            if name in found:
                raise ValueError("a tensor is told twice")
            if kind in _TEXT:
                found[name], fixed = _unpack(memory[start : start + size], shape, kind), False
            else:
                found[name] = np.ndarray(shape, _DTYPES[kind], memory, start)
        return found, fixed


def _checked(one: Any, there: int) -> tuple[str, str, tuple[int, ...], int, int]:
    if not isinstance(one, list) or len(one) != 5:
        raise ValueError("a tensor is not told in five parts")
    name, kind, shape, start, size = one
    ok = isinstance(name, str) and isinstance(kind, str) and (kind in _DTYPES or kind in _TEXT)
    ok = ok and isinstance(shape, list) and len(shape) <= _MAX_RANK
    ok = ok and all(type(n) is int and n >= 0 for n in (*shape, start, size))
    if not ok or start % _ALIGNED or start + size > there:
        raise ValueError("a tensor has no name, type, shape and place that can be")
    if kind in _DTYPES and size != math.prod(shape) * _DTYPES[kind].itemsize:
        raise ValueError("a tensor is not as long as its shape")
    return name, kind, tuple(shape), start, size


def _pack(array: NDArray[Any]) -> tuple[str, NDArray[np.uint8]]:
    """Text as bytes: each element's length in four bytes, little-endian, then the element."""
    values = array.ravel().tolist()
    kind = "str" if all(isinstance(value, str) for value in values) else "bytes"
    parts = []
    for value in values:
        raw = value if isinstance(value, bytes) else str(value).encode("utf-8", "surrogatepass")
        parts += [len(raw).to_bytes(4, "little"), raw]
    return kind, np.frombuffer(b"".join(parts), np.uint8)


def _unpack(raw: bytes, shape: tuple[int, ...], kind: str) -> NDArray[Any]:
    count, place = math.prod(shape), 0
    if count > len(raw) // 4:
        raise ValueError("text is shorter than its shape")
    found = np.empty(count, object)
    for index in range(count):
        size = int.from_bytes(raw[place : place + 4], "little")
        part = raw[place + 4 : place + 4 + size]
        if len(part) != size or place + 4 > len(raw):
            raise ValueError("text is cut short")
        found[index] = part.decode("utf-8", "surrogatepass") if kind == "str" else part
        place += 4 + size
    if place != len(raw):
        raise ValueError("text is longer than its shape")
    return found.reshape(shape)
