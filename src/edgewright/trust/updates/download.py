"""Bundles, fetched piece by piece into a part file that outlives power cuts, and verified as a whole."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from edgewright.core.errors import TrustError
from edgewright.core.files import storage, sync_folder
from edgewright.trust.updates.metadata import rules
from edgewright.trust.updates.releases import Release

Read = Callable[[int, int], bytes]
"""``read(start, length)``: bytes from ``start`` on, at least one and at most ``length``."""

PIECE_BYTES = 2**20


def fetch_bundle(release: Release, part: Path, read: Read) -> None:
    """Fill ``part`` with the bundle, going on where it ends, and verify it; then rename it to where it belongs.

    Every piece is fsynced before the next is asked for, so after a power cut at most the last one is fetched again.
    What ``read`` raises passes through and leaves the part for another time. Raises TrustError when the source sends
    nothing, or more than was asked for, or when what came is not what was signed: then the part is gone. StorageError.
    """
    with storage(part):
        part.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(part, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
        sync_folder(part.parent)
    try:
        done = _begin(handle, part, release.length)
        while done < release.length:
            wanted = min(PIECE_BYTES - done % PIECE_BYTES, release.length - done)
            data = read(done, wanted)
            if not 0 < len(data) <= wanted:
                raise TrustError(f"{release.path}: asked for {wanted:,} bytes at {done:,}, {len(data):,} came")
            with storage(part):
                _write(handle, data)
                os.fsync(handle)
            done += len(data)
    finally:
        os.close(handle)
    try:
        verify_bundle(release, part)
    except TrustError:
        with storage(part):
            part.unlink()
        raise


def verify_bundle(release: Release, path: Path) -> None:
    """Raise TrustError unless the file has the length and digest that the release key signed, however it came about;
    StorageError."""
    with storage(path), path.open("rb") as stream, rules(release.path):
        release.target().verify_length_and_hashes(stream)


def _begin(handle: int, part: Path, length: int) -> int:
    """Where to go on: at the last whole piece but one, since the last may never have reached the disk."""
    with storage(part):
        size = os.fstat(handle).st_size
        done = 0 if size > length else max(size - 1, 0) // PIECE_BYTES * PIECE_BYTES
        os.ftruncate(handle, done)
        os.lseek(handle, done, os.SEEK_SET)
    return done


def _write(handle: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(handle, view) :]
