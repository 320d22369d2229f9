"""The protocol's datatypes and ours."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgewright.runtime.aside import Steps, drained
from edgewright.runtime.faults import BadRequest

_PIECE = 2048
"""Elements of BYTES that are read or written at a time: a millisecond's work."""
MOST_STRINGS = 2**16
"""Elements of BYTES in a request: each is an object, and engines look at each with the interpreter held (0.2 us)."""
_ASIDE = 2**16
"""Bytes of an element that is not copied together with others."""
NUMPY: dict[str, np.dtype[Any]] = {
    "BOOL": np.dtype("?"), "UINT8": np.dtype("u1"), "UINT16": np.dtype("<u2"), "UINT32": np.dtype("<u4"),
    "UINT64": np.dtype("<u8"), "INT8": np.dtype("i1"), "INT16": np.dtype("<i2"), "INT32": np.dtype("<i4"),
    "INT64": np.dtype("<i8"), "FP16": np.dtype("<f2"), "FP32": np.dtype("<f4"), "FP64": np.dtype("<f8"),
}  # fmt: skip
"""Datatypes of fixed size. BYTES and BF16 have none in numpy: see ``read_bytes`` and ``widen``."""

DATATYPES = {**{dtype.name: name for name, dtype in NUMPY.items()}, "str": "BYTES", "object": "BYTES"}
"""The protocol's name for a tensor's dtype in a signature."""


def datatype(dtype: str) -> str:
    """The protocol's name of a signature's dtype (``bfloat16`` is BF16)."""
    return "BF16" if dtype == "bfloat16" else DATATYPES[dtype]


def read_bytes(buffer: bytes | memoryview, count: int) -> NDArray[Any]:
    """``count`` elements of BYTES: each four bytes of length, little-endian, then as many bytes. Shape (count,).

    Raises BadRequest unless they fill the buffer exactly.
    """
    return drained(reading_bytes(buffer, count))


def reading_bytes(buffer: bytes | memoryview, count: int) -> Steps[NDArray[Any]]:
    """As ``read_bytes``, in steps."""
    if 4 * count > len(buffer):
        raise BadRequest(f"BYTES of {len(buffer)} bytes cannot hold {count} elements")
    found, place, end = np.empty(count, object), 0, len(buffer)
    for index in range(count):
        if index % _PIECE == _PIECE - 1:
            yield
        if place + 4 > end:
            raise BadRequest(f"BYTES holds {index} elements where {count} were announced")
        size = int.from_bytes(buffer[place : place + 4], "little")
        place += 4
        if place + size > end:
            raise BadRequest(f"element {index} of BYTES announces {size} bytes, {end - place} are left")
        found[index] = bytes(buffer[place : place + size])
        place += size
    if place != end:
        raise BadRequest(f"BYTES holds {end - place} bytes more than its {count} elements")
    return found


def write_bytes(values: Sequence[Any] | NDArray[Any]) -> bytes:
    """BYTES as they travel: each element's length in four bytes, little-endian, then the element (text as UTF-8)."""
    return b"".join(drained(writing_bytes(values)))


def writing_bytes(values: Sequence[Any] | NDArray[Any]) -> Steps[list[bytes]]:
    """As ``write_bytes``, in steps and in pieces."""
    flat, made = np.asarray(values, object).ravel(), []
    for start in range(0, flat.size, _PIECE):
        if start:
            yield
        parts = []
        for value in flat[start : start + _PIECE].tolist():
            raw = value if isinstance(value, bytes) else str(value).encode()
            parts.append(len(raw).to_bytes(4, "little"))
            if len(raw) > _ASIDE:  # not copied
                made += [b"".join(parts), raw]
                parts.clear()
            else:
                parts.append(raw)
        made.append(b"".join(parts))
    return made


def widen(buffer: bytes | memoryview) -> NDArray[np.float32]:
    """BF16 as float32 (n,): its bits are the upper half of float32's."""
    return (np.frombuffer(buffer, "<u2").astype(np.uint32) << 16).view(np.float32)


def narrow(values: NDArray[np.float32]) -> bytes:
    """float32 as BF16, rounded to nearest even."""
    bits = np.ascontiguousarray(values, np.float32).view(np.uint32)
    rounded = (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16
    return np.where(np.isnan(values.reshape(bits.shape)), 0x7FC0, rounded).astype("<u2").tobytes()
