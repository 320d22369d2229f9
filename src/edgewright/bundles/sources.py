"""Where a bundle's bytes come from: a folder or an archive. Each byte is read once, through one handle.

Both refuse whatever is not a plain file under exactly the expected name, and neither follows a link inside the bundle.
(The path that the caller names may itself be a link: where to look is the caller's choice, what is there is not.)
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Protocol

from edgewright.bundles import archive
from edgewright.bundles.names import MANIFEST
from edgewright.core.errors import InputError, TrustError

_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


class Source(Protocol):
    """A bundle's files, asked for in ``archive.order``."""

    def read(self, name: str, limit_bytes: int, size: int | None = None) -> bytes:
        """The whole file ``name`` of at most ``limit_bytes``, exactly ``size`` if given. Raises TrustError."""
        ...

    def finish(self, names: frozenset[str]) -> None:
        """Raise TrustError when there is anything but ``names``."""
        ...


@contextlib.contextmanager
def open_source(path: Path) -> Iterator[Source]:
    """The bundle at ``path``. Raises InputError when nothing usable is there."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise InputError(f"cannot open the bundle {path}: {error.strerror or error}") from error
    kind = os.fstat(handle).st_mode
    try:
        if stat.S_ISDIR(kind):
            yield FolderSource(handle)
        elif stat.S_ISREG(kind):
            with os.fdopen(os.dup(handle), "rb") as stream:
                yield ArchiveSource(stream, path.name)
        else:
            raise InputError(f"{path} is neither a folder nor a file; pass a bundle")
    except OSError as error:
        raise TrustError(f"the bundle {path} cannot be read: {error.strerror or error}") from error
    finally:
        os.close(handle)


class FolderSource:
    """A folder, walked through handles so that no part of a path can be swapped for a link meanwhile."""

    def __init__(self, root: int) -> None:
        self._root = root

    def read(self, name: str, limit_bytes: int, size: int | None = None) -> bytes:
        """The whole file ``name``. Raises TrustError."""
        *folders, last = name.split("/")
        with contextlib.ExitStack() as stack:
            where = self._root
            for folder in folders:
                where = _open(folder, _FOLDER | os.O_NOFOLLOW, where, name)
                stack.callback(os.close, where)
            handle = _open(last, _FILE, where, name)
            stack.callback(os.close, handle)
            facts = os.fstat(handle)
            if not stat.S_ISREG(facts.st_mode):
                raise TrustError(f"{name} is not a plain file")
            if facts.st_nlink != 1:
                raise TrustError(f"{name} is a hard link: another name can change it")
            allowed = limit_bytes if size is None else size
            data = None
            if facts.st_size == size or (size is None and facts.st_size <= allowed):
                with os.fdopen(handle, "rb", closefd=False) as stream:
                    data = stream.read(allowed + 1)
        if data is None or len(data) > allowed or (size is not None and len(data) != size):
            found = facts.st_size if data is None else len(data)
            wanted = f"at most {limit_bytes:,}" if size is None else f"{size:,}"
            raise TrustError(f"{name} has {found:,} bytes where {wanted} belong")
        return data

    def finish(self, names: frozenset[str]) -> None:
        """Raise TrustError when there is anything but ``names``."""
        folders = {name[:cut] for name in names for cut in range(len(name)) if name[cut] == "/"}
        self._walk(self._root, "", names, folders)

    def _walk(self, handle: int, prefix: str, names: frozenset[str], folders: set[str]) -> None:
        with os.scandir(handle) as entries:
            # The first stranger ends the walk: it never looks at more than the bundle's own number of entries.
            for entry in entries:
                name = prefix + entry.name
                if name in folders and entry.is_dir(follow_symlinks=False):
                    inner = _open(entry.name, _FOLDER | os.O_NOFOLLOW, handle, name)
                    try:
                        self._walk(inner, f"{name}/", names, folders)
                    finally:
                        os.close(inner)
                elif name not in names:
                    raise TrustError(f"{name!r} does not belong to the bundle")


def _open(segment: str, flags: int, where: int, name: str) -> int:
    try:
        return os.open(segment, flags, dir_fd=where)
    except OSError as error:
        if error.errno == errno.ENOENT:
            raise TrustError(f"{name} is missing") from error
        if error.errno in (errno.ELOOP, errno.ENOTDIR):
            raise TrustError(f"{name} is a link, or lies in something that is not a folder") from error
        raise TrustError(f"{name} cannot be read: {error.strerror or error}") from error


class ArchiveSource:
    """The single-file form, read from front to end."""

    def __init__(self, stream: BinaryIO, name: str = "the file") -> None:
        self._stream, self._name = stream, name

    def read(self, name: str, limit_bytes: int, size: int | None = None) -> bytes:
        """The whole file ``name``, which must come next. Raises TrustError."""
        block = self._stream.read(archive.BLOCK)
        stated = archive.stated_size(block) if size is None else size
        if stated is None or block != archive.header(name, stated):
            if name == MANIFEST and not archive.begun(block):
                raise TrustError(f"{self._name} is no bundle; pack one with: edgewright bundle pack FOLDER")
            there = archive.describe(block)
            if there == f"an entry {name!r}":
                raise TrustError(
                    f"the archive holds {name} with another size, mode, owner or time than it was packed with"
                )
            raise TrustError(f"the archive holds {there} where {name} ({_amount(size)}) belongs")
        if stated > limit_bytes:
            raise TrustError(f"{name} has {stated:,} bytes where at most {limit_bytes:,} belong")
        # Reading takes memory for all it asks for; ask for no more than the file can give.
        data = self._stream.read(min(stated, os.fstat(self._stream.fileno()).st_size))
        fill = archive.padding(stated)
        if len(data) != stated or self._stream.read(len(fill)) != fill:
            raise TrustError(f"the archive is cut or changed at {name}")
        return data

    def finish(self, names: frozenset[str]) -> None:
        """Raise TrustError unless the archive ends here."""
        rest = self._stream.read(len(archive.END) + 1)
        if rest != archive.END:
            raise TrustError(f"the archive holds {archive.describe(rest)} where it should end")


def _amount(size: int | None) -> str:
    return "a plain file" if size is None else f"a plain file of {size:,} bytes"
