"""Reports: what is to be told, kept until somebody has it. Store and forward, for weeks without a network.

    folder/00000001.log ...     frames, oldest first, in files of 64 KiB
    folder/acknowledged         up to where they were told

What ``append`` has accepted is on the disk and survives; it is handed out, again and again, until it is acknowledged.
Who takes it recognises it by its boot (one start of an agent, drawn at random) and its sequence number in that. When
there is no room, what is new is refused and counted, and the count is the first thing accepted afterwards: what was
accepted is never dropped.
"""

from __future__ import annotations

import contextlib
import os
import threading
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgewright.agent.frames import MOST_BYTES, Found, frame, scan
from edgewright.core.closing import Closing
from edgewright.core.digests import canonical_json
from edgewright.core.errors import EdgewrightError, InputError, StorageError
from edgewright.core.files import read_file, reason, storage, sync_folder, write_file
from edgewright.core.strict import parse_json

_SEGMENT_BYTES, _MARK, _REFUSED = 64 * 1024, "acknowledged", "refused"
LOST = "lost"
"""The key of a report that tells how many were refused before it."""


@dataclass(frozen=True)
class Report:
    """One that was accepted."""

    boot: str
    sequence: int
    value: Mapping[str, Any]


class Reports(Closing):
    """In ``folder``, made on first use, ``most_bytes`` at most; an eighth of them is for what is urgent. ``lost``: how
    many were refused and have not been told yet; ``trouble``: why the last one was. Raises StorageError when the folder
    can be neither made nor read."""

    def __init__(self, folder: Path, most_bytes: int = 16 * 2**20) -> None:
        self._folder, self._most = folder, most_bytes
        self.boot, self.sequence, self.lost, self.trouble = uuid.uuid4().hex, 0, 0, ""
        self._lock = threading.RLock()  # what happens is told on one thread, and sent on another
        with contextlib.suppress(StorageError), storage(folder):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            sync_folder(folder.parent)
        self._head = self._mark()
        with contextlib.suppress(InputError, ValueError):
            self.lost = int(read_file(folder / _REFUSED, 32))
        self._sizes = {number: self._path(number).stat().st_size for number in self._numbers()}
        self._drop()
        self._tail = max([self._head[0], *self._sizes])
        self._end = self._handle = -1
        if self._tail in self._sizes:
            self._end = scan(self._read(self._tail)).end

    @property
    def folder(self) -> Path:
        """Where it lies."""
        return self._folder

    @property
    def held_bytes(self) -> int:
        """On the disk, what is acknowledged in the oldest file included."""
        return sum(self._sizes.values())

    def append(self, value: Mapping[str, Any], *, urgent: bool = False) -> int | None:
        """The sequence number of the report, which is on the disk when this returns; None when it is refused for
        want of room, and counted. Raises InputError for one of more than 64 KiB."""
        with self._lock:
            return self._append(value, urgent)

    def _append(self, value: Mapping[str, Any], urgent: bool) -> int | None:
        told = [{LOST: self.lost}] if self.lost else []
        numbered = enumerate([*told, dict(value)], self.sequence + 1)
        frames = [frame({"b": self.boot, "s": number, "v": one}) for number, one in numbered]
        data = b"".join(frames)
        most = self._most if urgent else self._most - self._most // 8
        if self.held_bytes + len(data) > most:
            self._refused(f"{self.held_bytes:,} bytes wait to be told, no more than {self._most:,} are kept")
            return None
        try:
            self._write(data)
        except OSError as error:
            self._refused(reason(error))
            return None
        self.sequence, self.lost, self.trouble = self.sequence + len(frames), 0, ""
        if told:
            with contextlib.suppress(OSError):
                (self._folder / _REFUSED).unlink(missing_ok=True)
        return self.sequence

    def batch(self, most_bytes: int = 256 * 1024) -> list[Report]:
        """The oldest ones that are not acknowledged, of together so many bytes (but one at least)."""
        found, size = list[Report](), 0
        with self._lock:
            for _, _, report, length in self._waiting():
                size += length
                if found and size > most_bytes:
                    break
                found.append(report)
        return found

    def waiting(self) -> Iterator[Report]:
        """All that are not acknowledged, the oldest first."""
        return (report for _, _, report, _ in self._waiting())

    def acknowledge(self, boot: str, sequence: int) -> None:
        """This one and all before it were told: they are given out no more. One that is not there changes nothing (it
        was acknowledged before). Raises StorageError; then they may be given out again."""
        with self._lock:
            for number, end, report, _ in self._waiting():
                if (report.boot, report.sequence) == (boot, sequence):
                    write_file(self._folder / _MARK, canonical_json({"file": number, "end": end}), 0o600)
                    self._head = number, end
                    self._drop()
                    return

    def close(self) -> None:
        """Give the file back."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1

    def _refused(self, why: str) -> None:
        self.lost, self.trouble = self.lost + 1, why
        if self.lost & (self.lost - 1) == 0:  # a killed agent knows it to within a factor of two
            with contextlib.suppress(StorageError):
                write_file(self._folder / _REFUSED, str(self.lost).encode(), 0o600)

    def _write(self, data: bytes) -> None:
        """Raises OSError; then nothing of it counts, whatever is on the disk."""
        if self._handle < 0 or self._end > _SEGMENT_BYTES:
            self._next()
        try:
            view, place = memoryview(data), self._end
            while view:
                written = os.pwrite(self._handle, view, place)
                view, place = view[written:], place + written
            os.fsync(self._handle)
        except OSError:
            self.close()  # and is cut to its end before anything else is written
            raise
        self._end += len(data)
        self._sizes[self._tail] = self._end

    def _next(self) -> None:
        """The newest file open at its end, or a new one where that is long."""
        self.close()
        number = self._tail if 0 <= self._end <= _SEGMENT_BYTES else max(self._tail, self._head[0]) + 1
        handle = os.open(self._path(number), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        end = self._end if number == self._tail and self._end >= 0 else 0
        try:
            os.ftruncate(handle, end)
            os.fsync(handle)
            sync_folder(self._folder)
        except OSError:
            os.close(handle)
            raise
        self._handle, self._tail, self._end = handle, number, end
        self._sizes[number] = end

    def _waiting(self) -> Iterator[tuple[int, int, Report, int]]:
        """File, end, report and length of all that are not acknowledged. What is damaged is passed over."""
        for number in sorted(self._sizes):
            if number < self._head[0]:
                continue
            begin = self._head[1] if number == self._head[0] else 0
            data = self._read(number)[: self._end if number == self._tail else None]
            last = begin
            for found in scan(data[begin:]).records:
                end = begin + found.end
                report = _report(found)
                if report is not None:
                    yield number, end, report, end - last
                last = end

    def _read(self, number: int) -> bytes:
        try:
            return read_file(self._path(number), _SEGMENT_BYTES + 4 * MOST_BYTES)
        except InputError:
            return b""

    def _drop(self) -> None:
        """Remove files that were told as a whole. One that stays is told again, which does no harm."""
        for number in [n for n in self._sizes if n < self._head[0]]:
            with contextlib.suppress(OSError):
                self._path(number).unlink()
            del self._sizes[number]

    def _mark(self) -> tuple[int, int]:
        try:
            told = parse_json(read_file(self._folder / _MARK, 1024), 1024)
            return int(told["file"]), int(told["end"])
        except (EdgewrightError, ValueError, KeyError, TypeError):
            return 0, 0

    def _numbers(self) -> list[int]:
        with storage(self._folder):
            return sorted(int(path.stem) for path in self._folder.glob("*.log") if path.stem.isdecimal())

    def _path(self, number: int) -> Path:
        return self._folder / f"{number:08d}.log"


def _report(found: Found) -> Report | None:
    boot, sequence, value = (found.value.get(key) for key in "bsv")
    right = isinstance(boot, str) and isinstance(sequence, int) and isinstance(value, dict)
    return Report(boot, sequence, value) if right else None  # type: ignore[arg-type]
