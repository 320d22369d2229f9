"""How a part's bytes are coded: zstd (RFC 8878), against a base where there is one. Decoding is bounded beforehand.

zstd is Python's own from 3.14 on (PEP 784), and its backport before that: one interface, one format.
"""

from __future__ import annotations

import sys
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

Code = Literal["stored", "zstd", "bytes", "bits", "prefix"]
"""``zstd``: of the shuffled bytes. ``bytes``: the same of the difference to a base of the same length, number by number
and folded (0, -1, 1, -2... as 0, 1, 2, 3): small changes become small numbers, whatever their sign. It beats exclusive
or by 2 to 10 points (benchmarks/fleet/deltas.py).
``bits``: of that difference bit plane by bit plane. ``prefix``: zstd that may refer to the base's bytes as if they came
before (zstd's --patch-from)."""

LEVEL = 9
_KINDS: dict[int, np.dtype[Any]] = {1: np.dtype("<u1"), 2: np.dtype("<u2"), 4: np.dtype("<u4"), 8: np.dtype("<u8")}
Numbers = NDArray[Any]
"""Unsigned integers, whatever the numbers are."""
_WINDOW_LOG = 24
"""16 MiB: covers a part and its base, and bounds what a decoder sets aside."""


def encode(code: Code, data: bytes, base: bytes, width: int) -> bytes:
    """``data`` coded; ``width``: bytes per number: 1, 2, 4 or 8."""
    if code == "stored":
        return data
    if code == "prefix":
        return _compress(data, base)
    whole = len(data) // width * width
    numbers = np.frombuffer(data[:whole], _KINDS[width])
    if code != "zstd":
        numbers = _fold(numbers - np.frombuffer(base[:whole], _KINDS[width]))
    return _compress((_planes(numbers) if code == "bits" else _shuffle(numbers)) + data[whole:])


def decode(code: Code, coded: bytes, base: bytes, width: int, length: int) -> bytes:
    """The ``length`` bytes that were coded. ValueError for anything that does not give exactly so many."""
    if code == "stored":
        if len(coded) != length:
            raise ValueError("a stored part of another length")
        return coded
    if code == "prefix":
        return _decompress(coded, length, base)
    whole = length // width * width
    if code == "zstd":
        plain = _decompress(coded, length)
        return _unshuffle(plain[:whole], width).tobytes() + plain[whole:]
    if len(base) != length:
        raise ValueError("a base of another length")
    if code == "bytes":
        plain = _decompress(coded, length)
        folded, rest = _unshuffle(plain[:whole], width), plain[whole:]
    else:
        count = whole // width
        plain = _decompress(coded, 8 * width * ((count + 7) // 8) + length - whole)
        folded, rest = _unplanes(plain, count, width), plain[len(plain) - (length - whole) :]
    return (np.frombuffer(base[:whole], _KINDS[width]) + _unfold(folded)).tobytes() + rest


def pack(data: bytes) -> bytes:
    """``data`` as one zstd frame."""
    return _compress(data)


def unpack(data: bytes, most: int) -> bytes:
    """The content of one zstd frame, of at most ``most`` bytes. ValueError."""
    return _expand(data, most, b"")


def _compress(data: bytes, prefix: bytes = b"") -> bytes:
    options: dict[int, int] = {
        zstd.CompressionParameter.compression_level: LEVEL,
        zstd.CompressionParameter.window_log: min(_WINDOW_LOG, max(10, (len(data) + len(prefix)).bit_length())),
    }
    if prefix:
        options[zstd.CompressionParameter.enable_long_distance_matching] = 1
    return zstd.compress(data, options=options, zstd_dict=_known(prefix))


def _decompress(data: bytes, length: int, prefix: bytes = b"") -> bytes:
    made = _expand(data, length, prefix)
    if len(made) != length:
        raise ValueError("a part of another length")
    return made


def _expand(data: bytes, most: int, prefix: bytes) -> bytes:
    machine = zstd.ZstdDecompressor(_known(prefix), options={zstd.DecompressionParameter.window_log_max: _WINDOW_LOG})
    try:
        made = machine.decompress(data, max_length=most + 1)  # memory for no more than that
    except zstd.ZstdError as error:
        raise ValueError("no zstd frame, or a damaged one") from error
    if len(made) > most or not machine.eof or machine.unused_data:
        raise ValueError("a zstd frame of more, or less, than it should hold")
    return made


def _known(prefix: bytes) -> Any:
    return zstd.ZstdDict(prefix, is_raw=True).as_prefix if len(prefix) >= 8 else None  # zstd takes no shorter one


def _fold(difference: Numbers) -> Numbers:
    """A difference modulo 2^n, small whichever its sign."""
    bits = 8 * difference.itemsize
    folded: Numbers = (difference << 1) ^ -(difference >> (bits - 1))
    return folded


def _unfold(folded: Numbers) -> Numbers:
    difference: Numbers = (folded >> 1) ^ -(folded & 1)
    return difference


def _shuffle(numbers: Numbers) -> bytes:
    """All first bytes of the numbers, then all second ones: the predictable bytes come together."""
    return numbers.view(np.uint8).reshape(-1, numbers.itemsize).T.tobytes()


def _unshuffle(data: bytes, width: int) -> Numbers:
    mixed = np.frombuffer(data, np.uint8).reshape(width, -1)
    return np.ascontiguousarray(mixed.T).reshape(-1).view(_KINDS[width])


def _planes(numbers: Numbers) -> bytes:
    """All lowest bits, then the next ones: each plane in whole bytes. One plane in memory at a time."""
    return b"".join(np.packbits((numbers >> bit & 1).astype(np.uint8)).tobytes() for bit in range(8 * numbers.itemsize))


def _unplanes(data: bytes, count: int, width: int) -> Numbers:
    numbers = np.zeros(count, _KINDS[width])
    size = (count + 7) // 8
    for bit in range(8 * width):
        plane = np.frombuffer(data, np.uint8, size, bit * size)
        numbers |= np.unpackbits(plane, count=count).astype(numbers.dtype) << bit
    return numbers
