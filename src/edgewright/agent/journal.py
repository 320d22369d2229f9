"""The journal: what the agent is about to do, on the disk before it does it.

Each record stands for the whole truth (see ``states``), so the last one that is whole is all that recovery needs, and
damage before it loses history only. The file is laid out in full when it is made: a record then needs no new space, and
the way back can be written down on a disk that is full.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import itertools
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from edgewright.agent.frames import MOST_BYTES, Scan, frame, scan
from edgewright.core.closing import Closing
from edgewright.core.errors import StorageError
from edgewright.core.files import read_file, storage, sync_folder, write_file

SIZE_BYTES = 256 * 1024
_KEPT = 32
"""Records that a compaction keeps, the last one among them, as far as a quarter of the file holds them."""


@contextlib.contextmanager
def held(state: Path) -> Iterator[None]:
    """Hold the state folder for one agent; the lock dies with the process. A folder that can only be read can be held.

    Raises StorageError when another agent has it, or it cannot be made.
    """
    with storage(state):
        if not state.is_dir():
            state.mkdir(parents=True, mode=0o700)
            sync_folder(state.parent)
        handle = os.open(state, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise StorageError(
                f"another agent runs on {state}; stop it, or give this one a folder of its own"
            ) from error
        except OSError as error:
            raise StorageError(f"cannot lock {state}: {error.strerror}; choose a folder on a local disk") from error
        yield
    finally:
        os.close(handle)


class Journal(Closing):
    """At ``path``, made on first use. ``last`` is the newest record, None in a new one; ``notes`` tell what was found
    wrong with the file. Raises StorageError; a file on a disk that can only be read is opened all the same."""

    def __init__(self, path: Path, size_bytes: int = SIZE_BYTES) -> None:
        self._path, self._size, self._handle, self._number = path, size_bytes, -1, 0
        self.last: dict[str, Any] | None = None
        self.notes: tuple[str, ...] = ()
        self._end, self._dirty = 0, False
        if not path.exists():
            with contextlib.suppress(StorageError):  # told by the first append
                write_file(path, b"", 0o600)
        found = self._scan()
        self.notes = tuple(_notes(path, found))
        self._end, self._dirty = found.end, bool(found.torn)
        if found.records:
            self.last = found.records[-1].value["record"]
            self._number = found.records[-1].value["n"]

    def append(self, record: Mapping[str, Any]) -> int:
        """The number of the record, which is on the disk when this returns. Raises StorageError; then it is not there,
        and ``last`` is what it was."""
        number = self._number + 1
        data = frame({"n": number, "record": dict(record)})
        with storage(self._path):
            self._ready()
            if self._end + len(data) > self._size:
                self._compact(data)
            else:
                self._write(data)
        self._number, self.last = number, dict(record)
        return number

    def history(self) -> list[tuple[int, dict[str, Any]]]:
        """The records there are, oldest first, with their numbers; the older ones were dropped by compactions."""
        return [(one.value["n"], one.value["record"]) for one in self._scan().records]

    def close(self) -> None:
        """Give the file back."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1

    def _scan(self) -> Scan:
        if not self._path.exists():
            return scan(b"")
        found = scan(read_file(self._path, 4 * self._size + 2 * MOST_BYTES))
        whole = all(
            isinstance(r.value.get("n"), int) and isinstance(r.value.get("record"), dict) for r in found.records
        )
        if not whole:
            raise StorageError(f"{self._path} is no journal of an agent; move it away, and the agent begins a new one")
        return found

    def _ready(self) -> None:
        """The file open, whatever lies behind the last record wiped, and its room taken. Raises OSError."""
        if self._handle >= 0 and not self._dirty:
            return
        self.close()
        self._handle = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        if self._dirty:
            # After a failed fsync or rename nobody knows what is on the disk (fsync(2)): what was refused must not come
            # back.
            self._end = max((r.end for r in self._scan().records if r.value["n"] <= self._number), default=0)
        os.ftruncate(self._handle, self._end)
        with contextlib.suppress(OSError):  # a full disk, or a file system that cannot: then each record needs room
            os.posix_fallocate(self._handle, 0, self._size)
        os.fsync(self._handle)
        sync_folder(self._path.parent)
        self._dirty = False

    def _write(self, data: bytes) -> None:
        self._dirty = True
        _put(self._handle, data, self._end)
        os.fsync(self._handle)
        self._end, self._dirty = self._end + len(data), False

    def _compact(self, data: bytes) -> None:
        """A new file with the latest records and ``data``, in place of the old one. Raises OSError, StorageError."""
        kept, room = list[bytes](), self._size // 4
        for one in reversed(self._scan().records[-_KEPT:]):
            again = frame(one.value)
            room -= len(again)
            if room < 0:
                break
            kept.append(again)
        whole = b"".join([*reversed(kept), data])
        if len(whole) > self._size:
            raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))
        self._dirty = True  # whichever file has the name, it is opened anew
        write_file(self._path, whole, 0o600)
        self._number += 1
        try:
            self._ready()
        finally:
            self._number -= 1


def _put(handle: int, data: bytes, place: int) -> None:
    view = memoryview(data)
    while view:
        written = os.pwrite(handle, view, place)
        view, place = view[written:], place + written


def _notes(path: Path, found: Scan) -> Iterator[str]:
    for begin, end in found.gaps:
        yield f"{path}: bytes {begin:,} to {end:,} are damaged; the records behind them hold"
    numbers = [one.value["n"] for one in found.records]
    jumps = sum(after != before + 1 for before, after in itertools.pairwise(numbers))
    if jumps > len(found.gaps):
        yield f"{path}: records are missing between the first and the last"
    if found.torn > MOST_BYTES + 10:
        yield f"{path}: {found.torn:,} bytes behind the last whole record are damaged, more than one record has"
    elif found.torn:
        yield f"{path}: the last record was not written whole and is dropped"
