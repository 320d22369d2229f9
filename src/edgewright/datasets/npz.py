"""``.npz`` files: arrays by name, never unpickled, sizes checked before a byte is reserved, mapped where possible.

The format is NEP 1 inside a zip archive. Large members are mapped from the file itself (stored) or from an unnamed
temporary file (compressed), so a data set larger than memory can be read row by row. Every member's checksum is
compared once, so that a file damaged on its way is told from a bad model.
"""

from __future__ import annotations

import contextlib
import math
import struct
import zipfile
import zlib
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from edgewright.core.errors import InputError
from edgewright.datasets.source import ArraySource, check_kind
from edgewright.datasets.spool import SPOOL_LIMIT, Spool

_IN_MEMORY = 256 * 2**20
_MEMBERS = 1024
_CHUNK = 4 * 2**20
# What zipfile lets through of a damaged archive; RuntimeError is its word for an encrypted one.
_BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError, struct.error)


def read_npz(path: Path) -> ArraySource:
    """The arrays of an ``.npz``. Raises InputError for what is damaged, pickled, encrypted or too large."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            if len(members) > _MEMBERS:
                raise InputError(f"{path} has {len(members):,} members; an .npz of at most {_MEMBERS:,} is read")
            arrays: dict[str, NDArray[Any]] = {}
            for member in members:
                name = member.filename.removesuffix(".npy")
                if name == member.filename or name in arrays:
                    raise InputError(f"{path} holds {member.filename!r}, which np.savez does not write; save it again")
                arrays[name] = check_kind(_member(path, archive, member, name), name, str(path))
    except _BROKEN as error:
        raise InputError(f"{path} is not a whole .npz file ({error}); write it again with np.savez") from error
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from error
    return ArraySource(str(path), arrays)


def _member(path: Path, archive: zipfile.ZipFile, member: zipfile.ZipInfo, name: str) -> NDArray[Any]:
    what = f"{name!r} of {path}"
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise InputError(f"{what} is packed in a way np.savez does not use; write it again")
    with archive.open(member) as stream:
        dtype, shape, fortran, head = _header(stream, what)
        size = math.prod(shape) * dtype.itemsize
        if size + head != member.file_size or size > SPOOL_LIMIT:
            raise InputError(f"{what} says {size:,} bytes of data and has {member.file_size - head:,}; write it again")
        order = "F" if fortran else "C"
        if size <= _IN_MEMORY:
            data = stream.read()
            if len(data) != size:
                raise InputError(f"{what} is truncated; write the file again")
            return np.frombuffer(data, dtype).reshape(shape, order="F" if fortran else "C")
        if member.compress_type == zipfile.ZIP_STORED:
            while stream.read(_CHUNK):  # compares the checksum
                pass
            return _mapped(path, member, head, dtype, shape, order)
        with contextlib.closing(Spool(what)) as spool:
            while chunk := stream.read(_CHUNK):
                spool.write(chunk)
            return spool.array(dtype, shape, order)


def _header(stream: IO[bytes], what: str) -> tuple[np.dtype[Any], tuple[int, ...], bool, int]:
    """dtype, shape, whether in Fortran order, and the header's length in bytes."""
    counted = _Counted(stream)
    try:
        version = npy.read_magic(counted)  # type: ignore[arg-type]
        reader = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}[version]
        shape, fortran, dtype = reader(counted)  # type: ignore[arg-type]
    except (ValueError, KeyError, SyntaxError) as error:
        raise InputError(f"{what} is not an array as np.savez writes it; write it again") from error
    if dtype.hasobject:
        raise InputError(f"{what} holds Python objects, which could run code when read; save numbers or text")
    if any(not 0 <= d < 2**48 for d in shape) or len(shape) > 32:
        raise InputError(f"{what} has the impossible shape {shape}; write it again")
    return dtype, shape, fortran, counted.count


class _Counted:
    """A stream that counts what was read of it."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream, self.count = stream, 0

    def read(self, size: int) -> bytes:
        data = self._stream.read(size)
        self.count += len(data)
        return data


def _mapped(
    path: Path, member: zipfile.ZipInfo, head: int, dtype: np.dtype[Any], shape: tuple[int, ...], order: str
) -> NDArray[Any]:
    """The array of a stored member, mapped. The local header repeats the name and has an extra field of its own."""
    with path.open("rb") as stream:
        stream.seek(member.header_offset)
        local = stream.read(30)
    if local[:4] != b"PK\x03\x04":
        raise InputError(f"{path} is not a whole .npz file; write it again with np.savez")
    skip = int.from_bytes(local[26:28], "little") + int.from_bytes(local[28:30], "little")
    start = member.header_offset + 30 + skip + head
    kind: Any = order
    return np.memmap(path, dtype, "r", start, shape, kind)
