"""Arrays as plain ``.npy`` bytes (NumPy Enhancement Proposal 1, version 1.0): no pickle, one spelling, no surprises."""

from __future__ import annotations

import io
import math
import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

_MAGIC = b"\x93NUMPY\x01\x00"
_HEADER = re.compile(
    rb"\{'descr': '([<|][biufU]\d{1,6})', 'fortran_order': False, 'shape': \(([\d, ]{0,300})\), \} *\n"
)


def array_bytes(array: NDArray[Any]) -> bytes:
    """The ``.npy`` file of an array of numbers, booleans or strings. Raises ValueError for other types."""
    plain = np.asarray(array.astype(str) if array.dtype.kind in "OS" else array, order="C")
    if plain.dtype.kind not in "biufU" or plain.dtype.itemsize == 0:
        raise ValueError(f"arrays of {array.dtype} cannot be kept in a bundle")
    stream = io.BytesIO()
    np.lib.format.write_array(
        stream, plain.astype(plain.dtype.newbyteorder("<"), copy=False), version=(1, 0), allow_pickle=False
    )
    return stream.getvalue()


def array_from(data: bytes) -> NDArray[Any]:
    """The array that ``array_bytes`` wrote; strings come back as objects, as engines take them.

    The header is matched, not evaluated, and memory is taken only for bytes that are there. Raises ValueError.
    """
    if not data.startswith(_MAGIC) or len(data) < 10:
        raise ValueError("not a .npy file of version 1.0")
    end = 10 + int.from_bytes(data[8:10], "little")
    match = _HEADER.fullmatch(data[10:end])
    if match is None:
        raise ValueError("a .npy header that Edgewright does not write")
    try:
        dtype = np.dtype(match[1].decode())
    except TypeError as error:
        raise ValueError(f"an unknown element type {match[1]!r}") from error
    shape = tuple(int(size) for size in re.findall(rb"\d+", match[2]))
    if math.prod(shape) * dtype.itemsize != len(data) - end or dtype.itemsize == 0:
        raise ValueError("its length is not that of its shape")
    try:
        array = np.frombuffer(data, dtype, offset=end).reshape(shape).copy()
        plain: NDArray[Any] = array.astype(object) if dtype.kind == "U" else array
        if array_bytes(plain) != data:
            raise ValueError("a .npy file in another spelling than Edgewright's")
    except UnicodeDecodeError as error:
        raise ValueError("strings that are not Unicode") from error
    return plain
