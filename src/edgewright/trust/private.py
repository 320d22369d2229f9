"""Private files: the user's own, and nobody else's."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from edgewright.core.errors import TrustError
from edgewright.core.files import storage, write_file

LIMIT_BYTES = 16384
"""No file with a private key, and the certificates beside it, is longer."""


def make_folder(folder: Path) -> None:
    """``folder`` of mode 0700, made if it is not there. Raises TrustError when others may enter it, StorageError."""
    with storage(folder):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    check_folder(folder)


def check_folder(folder: Path) -> None:
    """Raise TrustError unless ``folder`` is the user's own, and closed to others."""
    facts = folder.stat()
    if not stat.S_ISDIR(facts.st_mode):
        raise TrustError(f"{folder} is not a folder")
    _check(folder, facts, "700")


def write_private(path: Path, data: bytes) -> None:
    """Write ``data`` whole or not at all, of mode 0600 from its first byte on. Raises StorageError."""
    write_file(path, data, mode=0o600)


def read_private(path: Path) -> bytes:
    """The file's first ``LIMIT_BYTES``. Raises TrustError unless it is the user's own regular file of mode 0600."""
    try:
        # Checked and read through one handle: what was checked is what is read.
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise TrustError(f"cannot read the key {path}: {error.strerror or error}") from error
    with os.fdopen(handle, "rb") as stream:
        facts = os.fstat(stream.fileno())
        if not stat.S_ISREG(facts.st_mode):
            raise TrustError(f"the key {path} is not a regular file")
        _check(path, facts, "600")
        return stream.read(LIMIT_BYTES)


def _check(path: Path, facts: os.stat_result, wanted: str) -> None:
    if facts.st_uid != os.geteuid():
        raise TrustError(f"{path} belongs to user {facts.st_uid}, not to you; keys must be your own")
    if facts.st_mode & 0o077:
        found = stat.S_IMODE(facts.st_mode)
        raise TrustError(f"{path} is open to others (mode {found:o}); run: chmod {wanted} {path}")
