"""Arrays as plain ``.npy`` bytes (NumPy Enhancement Proposal 1, version 1.0): no pickle, one spelling, no surprises."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

_MAGIC = b"\x93NUMPY\x01\x00"
_HEADER = re.compile(
    rb"\{'descr': '([<|][biufU]\d{1,6})', 'fortran_order': False, 'shape': \(([\d, ]{0,300})\), \} *\n"
)


def arrays_bytes(arrays: Sequence[NDArray[Any]]) -> bytes:
    """Arrays of numbers, booleans or strings as ``.npy`` files back to back, as repeated ``numpy.load`` reads them.

    Raises ValueError for other types.
    """
    stream = io.BytesIO()
    for array in arrays:
        plain = np.asarray(array.astype(str) if array.dtype.kind in "OS" else array, order="C")
        if plain.dtype.kind not in "biufU":
            raise ValueError(f"arrays of {array.dtype} cannot be kept in a bundle")
        little = plain.astype(plain.dtype.newbyteorder("<"), copy=False)
        np.lib.format.write_array(stream, little, version=(1, 0), allow_pickle=False)
    return stream.getvalue()


def arrays_from(data: bytes) -> list[NDArray[Any]]:
    """The arrays that ``arrays_bytes`` wrote; strings come back as objects, as engines take them.

    A header is matched, not evaluated, and memory is taken only for bytes that are there. Raises ValueError.
    """
    found: list[NDArray[Any]] = []
    start = 0
    while start < len(data):
        array, start = _one(data, start)
        found.append(array)
    if arrays_bytes(found) != data:
        raise ValueError("a .npy file in another spelling than Edgewright's")
    return found


def _one(data: bytes, start: int) -> tuple[NDArray[Any], int]:
    body = start + 10 + int.from_bytes(data[start + 8 : start + 10], "little")
    match = _HEADER.fullmatch(data, start + 10, body)
    if not data.startswith(_MAGIC, start) or match is None:
        raise ValueError("not a .npy file of version 1.0 as Edgewright writes it")
    try:
        dtype = np.dtype(match[1].decode())
    except TypeError as error:
        raise ValueError(f"an unknown element type {match[1]!r}") from error
    shape = tuple(int(size) for size in re.findall(rb"\d+", match[2]))
    end = body + math.prod(shape) * dtype.itemsize
    if end > len(data) or dtype.itemsize == 0 or len(shape) > 32:
        raise ValueError("a .npy file shorter than its shape")
    array = np.frombuffer(data, dtype, count=math.prod(shape), offset=body).reshape(shape).copy()
    if dtype.kind != "U":
        return array, end
    points = np.frombuffer(data, "<u4", count=array.nbytes // 4, offset=body)
    if ((points > 0x10FFFF) | ((points >= 0xD800) & (points <= 0xDFFF))).any():
        raise ValueError("a .npy file of strings that are not Unicode")
    return array.astype(object), end
