"""Regions: memory that two processes share. It has no name anywhere, and is gone with the last who holds it."""

from __future__ import annotations

import fcntl
import mmap
import os
from collections.abc import Iterable

from edgewright.core.errors import EngineError

_PAGE = mmap.PAGESIZE


def make_region(size: int) -> tuple[mmap.mmap, int]:
    """``size`` bytes, rounded up to pages, and the descriptor to hand over and close. Raises EngineError.

    The size is sealed: memory that the other side could take back would kill whoever reads it (SIGBUS).
    """
    handle = os.memfd_create("edgewright", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        size = max(-(-size // _PAGE) * _PAGE, _PAGE)
        os.ftruncate(handle, size)
        fcntl.fcntl(handle, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL)
        return mmap.mmap(handle, size), handle
    except (OSError, ValueError, OverflowError) as error:
        os.close(handle)
        raise EngineError(f"there is no shared memory of {size:,} bytes to be had: {error}") from error


def take_region(handle: int) -> mmap.mmap:
    """The region behind a descriptor that was handed over, which is closed."""
    try:
        return mmap.mmap(handle, os.fstat(handle).st_size)
    finally:
        os.close(handle)


def filled(parts: Iterable[bytes]) -> int:
    """The descriptor of memory that holds ``parts`` one after the other and cannot be changed any more."""
    handle = os.memfd_create("edgewright", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        for part in parts:
            view = memoryview(part)
            while view:
                view = view[os.write(handle, view) :]
        seals = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SEAL
        fcntl.fcntl(handle, fcntl.F_ADD_SEALS, seals)
    except OSError as error:
        os.close(handle)
        raise EngineError(f"the model does not fit into memory a second time: {error.strerror}") from error
    return handle
