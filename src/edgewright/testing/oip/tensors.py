"""The protocol's tensors, written and read by what its text says and by nothing of the server's."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgewright.testing.oip.contract import Failed, expect

NUMPY = {
    "BOOL": "?", "UINT8": "u1", "UINT16": "<u2", "UINT32": "<u4", "UINT64": "<u8", "INT8": "i1", "INT16": "<i2",
    "INT32": "<i4", "INT64": "<i8", "FP16": "<f2", "FP32": "<f4", "FP64": "<f8",
}  # fmt: skip
DATATYPES = (*NUMPY, "BYTES", "BF16")
BINARY_ONLY = ("FP16", "BF16")
"""JSON has no form for these (KServe, binary tensor data extension)."""
_FLOATS = ("FP16", "FP32", "FP64", "BF16")
_NAMES = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


@dataclass(frozen=True)
class Tensor:
    """One of a model's inputs or outputs; -1 in ``shape`` is a size that is open."""

    name: str
    datatype: str
    shape: tuple[int, ...]

    def fits(self, shape: tuple[int, ...]) -> bool:
        """Whether an array of that shape is one of these."""
        return len(shape) == len(self.shape) and all(a in (-1, b) for a, b in zip(self.shape, shape, strict=True))


def draw(tensor: Tensor, seed: int, rows: int = 1) -> NDArray[Any]:
    """Values that a model is likely to take: small numbers, the text "1". Open sizes are 1, the first is ``rows``."""
    shape = [1 if size < 0 else size for size in tensor.shape]
    if tensor.shape and tensor.shape[0] == -1:
        shape[0] = rows
    made = np.random.default_rng(seed)
    if tensor.datatype == "BYTES":
        array = np.empty(shape, object)
        array[...] = b"1"
        return array
    if tensor.datatype in _FLOATS:
        # Eighths come through every float type unchanged.
        return (made.integers(0, 8, shape) / 8).astype(NUMPY.get(tensor.datatype, "<f4"))
    return made.integers(0, 2, shape).astype(NUMPY[tensor.datatype])


def to_binary(array: NDArray[Any], kind: str) -> bytes:
    """Little-endian, row-major, without padding; BYTES with four bytes of length before each element."""
    if kind == "BYTES":
        return b"".join(len(v).to_bytes(4, "little") + v for v in array.ravel().tolist())
    if kind == "BF16":
        return (array.astype("<f4").view("<u4") >> 16).astype("<u2").tobytes()
    return array.astype(NUMPY[kind]).tobytes()


def from_binary(raw: bytes, kind: str, shape: tuple[int, ...]) -> NDArray[Any]:
    """Raises Failed when the bytes are not that tensor."""
    count = math.prod(shape)
    if kind == "BYTES":
        values, place = [], 0
        while place < len(raw):
            size = int.from_bytes(raw[place : place + 4], "little")
            values.append(raw[place + 4 : place + 4 + size])
            place += 4 + size
        expect(place == len(raw) and len(values) == count, f"BYTES of shape {list(shape)} do not fill their bytes")
        array = np.empty(count, object)
        array[:] = values
        return array.reshape(shape)
    each = 2 if kind == "BF16" else np.dtype(NUMPY[kind]).itemsize
    expect(len(raw) == each * count, f"{kind} of shape {list(shape)} takes {each * count} bytes, {len(raw)} came")
    if kind == "BF16":
        return (np.frombuffer(raw, "<u2").astype("<u4") << 16).view("<f4").reshape(shape)
    return np.frombuffer(raw, NUMPY[kind]).reshape(shape)


def to_json(array: NDArray[Any], kind: str, nested: bool = False) -> Any:
    """The elements, flat or in rows."""
    if kind == "BYTES":
        texts = np.array([v.decode() for v in array.ravel().tolist()], object).reshape(array.shape)
        return texts.tolist() if nested else texts.ravel().tolist()
    return array.tolist() if nested else array.ravel().tolist()


def from_json(data: Any, kind: str, shape: tuple[int, ...]) -> NDArray[Any]:
    """Flat or in rows. Raises Failed when they are not that tensor."""
    flat = data
    while isinstance(flat, list) and flat and isinstance(flat[0], list):
        flat = [value for row in flat for value in row]
    expect(isinstance(flat, list), "'data' of an output is no list")
    count = math.prod(shape)
    expect(len(flat) == count, f"'data' has {len(flat)} elements, the shape {list(shape)} takes {count}")
    if kind == "BYTES":
        expect(all(isinstance(v, str) for v in flat), "an element of BYTES is no string in JSON")
        array = np.empty(count, object)
        array[:] = [v.encode() for v in flat]
        return array.reshape(shape)
    if kind in _FLOATS:
        flat = [_NAMES.get(v, v) if isinstance(v, str) else math.nan if v is None else v for v in flat]
    allowed: tuple[type, ...] = (bool,) if kind == "BOOL" else (int, float) if kind in _FLOATS else (int,)
    odd = next((v for v in flat if not isinstance(v, allowed) or (kind != "BOOL" and isinstance(v, bool))), None)
    expect(odd is None, f"{odd!r} among the elements of {kind}")
    try:
        return np.array(flat, NUMPY.get(kind, "<f4")).reshape(shape)
    except (OverflowError, ValueError) as error:
        raise Failed(f"an element is no {kind}: {error}") from error


def same(a: NDArray[Any], b: NDArray[Any]) -> bool:
    """Whether two answers to the same request agree, as far as floats of half precision can."""
    if a.shape != b.shape:
        return False
    if a.dtype == object or b.dtype == object:
        return bool((a == b).all())
    return bool(np.allclose(a.astype("f8"), b.astype("f8"), rtol=1e-2, atol=1e-3, equal_nan=True))
