"""Files that are either whole or not there: temporary name, fsync, rename. And names that cannot escape."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

from edgewright.core.errors import InputError, StorageError

_REASONS = {
    errno.ENOSPC: "the disk is full; free some space and run again",
    errno.EDQUOT: "the disk quota is used up; free some space and run again",
    errno.EROFS: "the file system is read-only; choose another folder",
    errno.EACCES: "permission denied; choose a folder you may write to",
    errno.EPERM: "permission denied; choose a folder you may write to",
    errno.ENOTDIR: "a file stands where a folder is needed; choose another folder",
    errno.EEXIST: "a file stands where a folder is needed; choose another folder",
}


@contextlib.contextmanager
def storage(path: Path) -> Iterator[None]:
    """Turn an ``OSError`` inside the block into a ``StorageError`` that names ``path`` and what to do."""
    try:
        yield
    except OSError as error:
        reason = _REASONS.get(error.errno or 0, error.strerror or str(error))
        raise StorageError(f"cannot write {path}: {reason}") from error


def sync_folder(folder: Path) -> None:
    """Make a rename inside ``folder`` survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_file(path: Path, data: bytes, mode: int = 0o644) -> None:
    """Write ``data`` to ``path`` whole or not at all. Raises StorageError."""
    with storage(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as stream:
                stream.write(data)
                stream.flush()
                os.fchmod(stream.fileno(), mode)
                os.fsync(stream.fileno())
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
        sync_folder(path.parent)


def write_folder(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write a folder of files whole or not at all, replacing what stood there. Raises StorageError."""
    with storage(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", suffix=".part", dir=folder.parent))
        try:
            temporary.chmod(0o755)
            for name, data in files.items():
                write_file(temporary / safe_name(name), data)
            if folder.exists() and not folder.is_dir():
                raise OSError(errno.ENOTDIR, "not a folder")
            old = None
            if folder.exists():
                old = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", suffix=".old", dir=folder.parent))
                folder.replace(old / folder.name)
            temporary.replace(folder)
            sync_folder(folder.parent)
            if old is not None:
                shutil.rmtree(old, ignore_errors=True)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise


def safe_name(name: str) -> str:
    """``name`` if it is a plain relative POSIX path; InputError if it could leave its folder."""
    path = PurePosixPath(name)
    bad = not name or path.is_absolute() or ".." in path.parts or "\\" in name or "\0" in name or len(name) > 255
    if bad or str(path) != name or path.parts[0].endswith(":"):
        raise InputError(f"the file name {name[:80]!r} could leave its folder; use a plain relative name")
    return name


def read_file(path: Path, limit_bytes: int) -> bytes:
    """Bytes of a regular file of at most ``limit_bytes``. Raises InputError."""
    try:
        with path.open("rb") as stream:
            if not path.is_file():
                raise InputError(f"{path} is not a regular file")
            size = os.fstat(stream.fileno()).st_size
            if size > limit_bytes:
                raise InputError(f"{path} has {size:,} bytes, more than the {limit_bytes:,} allowed here")
            data = stream.read(size + 1)  # not limit_bytes: a read allocates what it asks for
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from error
    if len(data) > size:
        raise InputError(f"{path} grew while it was read; wait until it is written and try again")
    return data


@contextlib.contextmanager
def exclusive(folder: Path) -> Iterator[None]:
    """Hold ``folder`` for one run; the lock dies with the process. Raises StorageError when another run has it."""
    with storage(folder):
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise StorageError(f"{folder} is in use by another run; wait for it or choose another folder") from error
        yield
    finally:
        os.close(handle)
