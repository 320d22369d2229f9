"""Spool: an array written piece by piece into an unnamed temporary file, then mapped: memory stays constant."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgewright.core.errors import InputError, StorageError
from edgewright.core.files import storage

SPOOL_LIMIT = 16 * 2**30
"""Bytes one array may unpack to."""
_RESERVE = 256 * 2**20  # left free on the disk for everybody else


class Spool:
    """``write`` bytes, then ``array`` of them, then ``close``: a mapping outlives the spool.

    The file has no name, so it is gone with the last mapping of it, however the process ends.
    """

    def __init__(self, what: str, limit: int = SPOOL_LIMIT) -> None:
        self._what, self._limit, self._bytes = what, limit, 0
        self._where = Path(tempfile.gettempdir())
        with storage(self._where):
            self._file = tempfile.TemporaryFile(prefix="edgewright-")  # noqa: SIM115 - close() ends it

    def write(self, data: bytes | memoryview) -> None:
        """Append. Raises InputError past the limit, StorageError when the disk cannot hold it."""
        self._bytes += len(data)
        if self._bytes > self._limit:
            raise InputError(f"{self._what} unpacks to more than {self._limit:,} bytes; use fewer samples")
        if self._bytes % (64 * 2**20) < len(data) and shutil.disk_usage(self._where).free < _RESERVE:
            raise StorageError(f"{self._where} is nearly full; free some space or set TMPDIR to another folder")
        with storage(self._where):
            self._file.write(data)

    def close(self) -> None:
        """Give the file back; what was mapped stays."""
        self._file.close()

    def array(self, dtype: np.dtype[Any], shape: tuple[int, ...], order: str = "C") -> NDArray[Any]:
        """What was written, as a read-only mapping."""
        with storage(self._where):
            self._file.flush()
        kind: Any = order
        return np.memmap(self._file, dtype, "r", 0, shape, kind)
