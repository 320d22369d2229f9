"""Files that are either whole or not there: hidden name, fsync, rename. And names that cannot escape.

A writer holds a lock on its hidden name for as long as it lives, so whatever a killed one left is told from what is
being written, and the next write of the same name removes it.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath

from edgewright.core.errors import DiskFull, InputError, StorageError, Unavailable

_REASONS = {
    errno.ENOSPC: "the disk is full; free some space and run again",
    errno.EDQUOT: "the disk quota is used up; free some space and run again",
    errno.EFBIG: "the file is larger than this process may write; raise the limit (ulimit -f) and run again",
    errno.EROFS: "the file system is read-only; choose another folder",
    errno.EACCES: "permission denied; choose a folder you may write to",
    errno.EPERM: "permission denied; choose a folder you may write to",
    errno.ENOTDIR: "a file stands where a folder is needed; choose another folder",
    errno.EEXIST: "a file stands where a folder is needed; choose another folder",
    errno.EISDIR: "a folder stands where a file is needed; choose another name",
    errno.ENAMETOOLONG: "the name is too long; choose a shorter one",
}
_HIDDEN = re.compile(r"\..+\.[a-z0-9_]{8}\.(part|old)")
_EXCHANGE = 2  # RENAME_EXCHANGE of renameat2(2)


def reason(error: OSError) -> str:
    """What went wrong with a file and what to do, as a clause."""
    return _REASONS.get(error.errno or 0, error.strerror or str(error))


def family(error: OSError) -> type[StorageError]:
    """What it is raised as: a full disk is told from what no room would mend."""
    return DiskFull if error.errno in (errno.ENOSPC, errno.EDQUOT) else StorageError


@contextlib.contextmanager
def storage(path: Path) -> Iterator[None]:
    """Turn an ``OSError`` inside the block into a ``StorageError`` that names ``path`` and what to do (``DiskFull``
    where there is no room)."""
    try:
        yield
    except OSError as error:
        raise family(error)(f"cannot write {path}: {reason(error)}") from error


def sync_folder(folder: Path) -> None:
    """Make a rename inside ``folder`` survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_file(path: Path, data: bytes, mode: int = 0o644) -> None:
    """Write ``data`` to ``path`` whole or not at all. Raises StorageError."""
    write_parts(path, (data,), mode)


def write_parts(path: Path, parts: Iterable[bytes], mode: int = 0o644) -> None:
    """Write ``parts``, one after the other, to ``path``: whole, or not at all when they end in an exception.

    Raises StorageError, also for an OSError that comes from ``parts``.
    """
    with storage(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        _sweep_beside(path)
        with _claim(path, "part", folder=False) as (handle, part):
            with os.fdopen(os.dup(handle), "wb") as stream:
                for data in parts:
                    stream.write(data)
            os.fchmod(handle, mode)
            os.fsync(handle)
            part.replace(path)
            sync_folder(path.parent)


def write_folder(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write a folder of files whole or not at all, replacing what stood there. Raises StorageError."""
    names = {safe_name(name): data for name, data in files.items()}
    with storage(folder):
        if folder.exists() and not folder.is_dir():
            raise OSError(errno.ENOTDIR, "not a folder")
        folder.parent.mkdir(parents=True, exist_ok=True)
        _sweep_beside(folder)
        with _claim(folder, "part", folder=True) as (handle, part):
            os.fchmod(handle, 0o755)
            for name, data in names.items():
                write_file(part / name, data)
            _put(part, folder)
            sync_folder(folder.parent)


def check_ours(folder: Path, names: Iterable[str], what: str) -> None:
    """Raise InputError when ``folder`` holds anything that none of the files ``names`` would replace."""
    if folder.is_dir():
        ours = {safe_name(name).partition("/")[0] for name in names}
        strange = sorted(entry.name for entry in folder.iterdir() if entry.name not in ours)
        if strange:
            raise InputError(f"{folder} already holds {strange[0]!r}; choose a new or empty folder for {what}")


@contextlib.contextmanager
def scratch(name: str, where: Path | None = None) -> Iterator[Path]:
    """An empty folder for temporary files, gone afterwards, with what killed processes left of the same ``name``.

    ``where``: the folder to make it in, that of the system by default. Raises StorageError.
    """
    with contextlib.ExitStack() as stack:
        with storage(where or Path(name)):
            if where is not None:
                where.mkdir(parents=True, exist_ok=True, mode=0o700)
            path = (where or Path(tempfile.gettempdir())) / name
        with storage(path):
            _sweep_beside(path)
            _, folder = stack.enter_context(_claim(path, "part", folder=True))
        yield folder


def sweep(folder: Path, *, below: bool = False) -> None:
    """Remove what killed writers left in ``folder`` (and ``below`` it); living ones keep theirs. Raises StorageError.

    A folder that a killed writer had moved aside and not yet replaced comes back under its own name.
    """
    with storage(folder):
        for place, folders, names in os.walk(folder):
            for name in [n for n in (*folders, *names) if _HIDDEN.fullmatch(n)]:
                _clear(Path(place, name))
            folders[:] = [n for n in folders if below and not _HIDDEN.fullmatch(n)]


def _prefix(path: Path) -> str:
    return f".{path.name[:50]}."  # with what follows still within 255 bytes, whatever the letters


def _sweep_beside(path: Path) -> None:
    """What killed writers of this very name left."""
    start = _prefix(path)
    with os.scandir(path.parent) as entries:
        left = [Path(e.path) for e in entries if e.name.startswith(start) and _HIDDEN.fullmatch(e.name)]
    for one in left:
        _clear(one)


@contextlib.contextmanager
def _claim(path: Path, kind: str, *, folder: bool) -> Iterator[tuple[int, Path]]:
    """A new hidden name beside ``path`` and its open, locked handle. Whatever bears that name at the end is removed."""
    make = tempfile.mkdtemp if folder else tempfile.mkstemp
    while True:
        made = make(prefix=_prefix(path), suffix=f".{kind}", dir=path.parent)
        hidden = Path(made if isinstance(made, str) else made[1])
        try:
            handle = os.open(hidden, os.O_RDONLY | os.O_DIRECTORY) if isinstance(made, str) else made[0]
        except FileNotFoundError:
            continue  # swept before it was locked
        _lock(handle, fcntl.LOCK_EX)
        if _names(hidden, handle):
            break
        os.close(handle)
    try:
        yield handle, hidden
    finally:
        remove(hidden)
        os.close(handle)


def _lock(handle: int, operation: int) -> bool:
    try:
        fcntl.flock(handle, operation)
    except OSError:  # held by another, or a file system without locks: then nobody sweeps there either
        return False
    return True


def _names(path: Path, handle: int) -> bool:
    """Whether ``path`` still is what was opened."""
    try:
        return os.path.samestat(os.lstat(path), os.fstat(handle))
    except FileNotFoundError:
        return False


def _put(part: Path, folder: Path) -> None:
    """``part`` under the name ``folder``; what stood there ends up as ``part``, in one step where the system can."""
    if not os.path.lexists(folder):
        part.replace(folder)
    elif not _exchanged(part, folder):
        with _claim(folder, "old", folder=True) as (_, aside):
            before = folder.replace(aside / folder.name)
            try:
                part.replace(folder)
            except BaseException:
                before.replace(folder)
                raise


def _exchanged(one: Path, other: Path) -> bool:
    import ctypes

    library = ctypes.CDLL(None)
    here = -100  # AT_FDCWD
    swap = getattr(library, "renameat2", None)
    return swap is not None and swap(here, os.fsencode(one), here, os.fsencode(other), _EXCHANGE) == 0


def _clear(hidden: Path) -> None:
    """Remove one hidden name unless its writer lives."""
    try:
        handle = os.open(hidden, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return  # gone by now, or a link: never one of ours
    try:
        if _lock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB) and _names(hidden, handle):
            if hidden.suffix == ".old" and hidden.is_dir():
                for kept in hidden.iterdir():
                    if not os.path.lexists(hidden.parent / kept.name):
                        kept.replace(hidden.parent / kept.name)
            remove(hidden)
    finally:
        os.close(handle)


def remove(path: Path) -> None:
    """Remove a file, a link or a folder with all in it, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def safe_name(name: str) -> str:
    """``name`` if it is a plain relative POSIX path; InputError if it could leave its folder."""
    path = PurePosixPath(name)
    bad = not name or path.is_absolute() or ".." in path.parts or "\\" in name or "\0" in name or len(name) > 255
    if bad or str(path) != name or not path.parts or path.parts[0].endswith(":"):
        raise InputError(f"the file name {name[:80]!r} could leave its folder; use a plain relative name")
    return name


def read_file(path: Path, limit_bytes: int) -> bytes:
    """Bytes of a regular file of at most ``limit_bytes``. Raises InputError."""
    try:
        # Not blocking: a pipe would keep us waiting for its writer.
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            facts = os.fstat(handle)
            if not stat.S_ISREG(facts.st_mode):
                raise InputError(f"{path} is not a regular file")
            size = facts.st_size
            if size > limit_bytes:
                raise InputError(f"{path} has {size:,} bytes, more than the {limit_bytes:,} allowed here")
            with os.fdopen(handle, "rb", closefd=False) as stream:
                data = stream.read(size + 1)  # not limit_bytes: a read allocates what it asks for
        finally:
            os.close(handle)
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from error
    except ValueError as error:
        raise InputError(f"cannot read {str(path)!r}: {error}") from error
    if len(data) > size:
        raise InputError(f"{path} grew while it was read; wait until it is written and try again")
    return data


@contextlib.contextmanager
def exclusive(folder: Path) -> Iterator[None]:
    """Hold ``folder`` for one run; the lock dies with the process. Raises StorageError, and Unavailable when another
    run has it."""
    path = folder / ".lock"
    with storage(folder):
        folder.mkdir(parents=True, exist_ok=True)
        while True:
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o644)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                os.close(handle)
                raise Unavailable(f"{folder} is in use by another run; wait for it or choose another folder") from error
            except OSError:
                os.close(handle)
                raise
            if _names(path, handle):
                break
            os.close(handle)  # its holder removed it when it was done
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            path.unlink()  # still held: whoever waits for this very file finds it unnamed and opens another
        os.close(handle)
