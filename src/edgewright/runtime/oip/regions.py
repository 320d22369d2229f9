"""System shared memory: regions that clients on this machine register, to hand tensors over without sending them.

Triton's shared-memory extension. A region is read and written through its file and never mapped: a client that shrinks
a mapped file under the server would end the server with a bus error. What is read is a copy of the server's own, so
nobody changes an input after it was checked.
"""

from __future__ import annotations

import fcntl
import os
import re
import stat
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgewright.runtime.faults import BadRequest, NotFound
from edgewright.runtime.lanes.outbox import Buffer

_KEY = re.compile(r"/?(?!\.)[A-Za-z0-9._-]{1,250}")
_MOST = 256
_MOST_NAME = 256
_FLAGS = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
PARAMETERS = ("shared_memory_region", "shared_memory_byte_size", "shared_memory_offset")


@dataclass(frozen=True)
class Region:
    """``size`` bytes at ``offset`` of the shared memory object ``key``, open as ``descriptor``."""

    name: str
    key: str
    offset: int
    size: int
    descriptor: int


class Regions:
    """Registered regions by name; from any thread. ``folder`` is where the system keeps shared memory objects.
    ``most_bytes``: of all that one request reads there. ``plans``: what is remembered of requests that name these very
    regions.

    Whoever may ask the server may name any object that the server may open: offer this to clients on this machine only.
    """

    def __init__(
        self, folder: Path = Path("/dev/shm"), most_bytes: int = 64 * 2**20  # noqa: S108 - where objects are on Linux
    ) -> None:  # fmt: skip
        self._folder, self._known, self._lock = folder, dict[str, Region](), threading.Lock()
        self.most_bytes = most_bytes
        self.plans: dict[bytes, Any] = {}

    def __len__(self) -> int:
        return len(self._known)

    def register(self, name: str, key: str, offset: int, size: int) -> None:
        """Open an object that its client has made. Raises BadRequest."""
        if not 0 < len(name) <= _MOST_NAME:
            raise BadRequest(f"a region's name has 1 to {_MOST_NAME} characters")
        if not _KEY.fullmatch(key):
            raise BadRequest("'key' is no name of a shared memory object: letters, digits, '.', '_', '-'")
        if offset < 0 or size <= 0:
            raise BadRequest("'offset' and 'byte_size' of a region are not negative, and it has a byte at least")
        with self._lock:
            if name in self._known:
                raise BadRequest(f"a region named {name!r} is registered already; unregister it first")
            if len(self._known) >= _MOST:
                raise BadRequest(f"{_MOST} regions are registered, which is the most; unregister some")
            try:
                descriptor = os.open(self._folder / key.lstrip("/"), _FLAGS)
            except OSError as error:
                raise BadRequest(f"cannot open the shared memory object {key!r}: {error.strerror}") from error
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode) or offset + size > found.st_size:
                os.close(descriptor)
                raise BadRequest(f"{key!r} has {found.st_size} bytes, the region takes {size} from byte {offset}")
            self._known[name] = Region(name, key, offset, size, descriptor)

    def adopt(self, name: str, descriptor: int) -> None:
        """Use a memory file that a client handed over; it is closed with the region. Raises BadRequest, and closes it.

        A name that is known is taken over.
        """
        try:
            found = os.fstat(descriptor)
            if not 0 < len(name) <= _MOST_NAME:
                raise BadRequest(f"a region's name has 1 to {_MOST_NAME} characters")
            if not stat.S_ISREG(found.st_mode) or not found.st_size or not _in_memory(descriptor):
                raise BadRequest("the descriptor is of no memory file with a byte at least; make it with memfd_create")
            self.unregister(name)
            with self._lock:
                if len(self._known) >= _MOST:
                    raise BadRequest(f"{_MOST} regions are registered, which is the most; unregister some")
                self._known[name] = Region(name, "", 0, found.st_size, descriptor)
        except BadRequest:
            os.close(descriptor)
            raise

    def unregister(self, name: str = "") -> None:
        """Forget that region, or all; one that is not registered is forgotten already."""
        with self._lock:
            for one in [self._known[name]] if name in self._known else [] if name else [*self._known.values()]:
                os.close(self._known.pop(one.name).descriptor)

    def status(self, name: str = "") -> list[Region]:
        """That region, or all. Raises NotFound."""
        with self._lock:
            return [self._find(name)] if name else [*self._known.values()]

    def read(self, name: str, offset: int, size: int) -> bytes:
        """A copy of ``size`` bytes at ``offset`` of a region. Raises BadRequest, NotFound."""
        with self._lock:
            one = self._within(name, offset, size)
            try:
                found = os.pread(one.descriptor, size, one.offset + offset)
            except OSError as error:
                raise BadRequest(f"region {name!r} cannot be read: {error.strerror}") from error
        if len(found) != size:
            raise BadRequest(f"region {name!r} was made smaller after it was registered")
        return found

    def write(self, name: str, offset: int, size: int, raw: Buffer) -> None:
        """``raw`` at ``offset`` of a region, where ``size`` bytes are kept for it. Raises BadRequest, NotFound."""
        if len(raw) > size:
            raise BadRequest(f"an output has {len(raw)} bytes, shared_memory_byte_size keeps {size} for it")
        with self._lock:
            one = self._within(name, offset, size)
            # Never beyond its end: that would make the object larger.
            if os.fstat(one.descriptor).st_size < one.offset + offset + len(raw):
                raise BadRequest(f"region {name!r} was made smaller after it was registered")
            try:
                written = os.pwrite(one.descriptor, raw, one.offset + offset)
            except OSError as error:  # sealed, opened for reading only, or there is no memory left
                raise BadRequest(f"region {name!r} cannot be written: {error.strerror}") from error
        if written != len(raw):
            raise BadRequest(f"region {name!r} cannot be written: there is no memory left for it")

    def close(self) -> None:
        """Forget all."""
        self.unregister()

    def _find(self, name: str) -> Region:
        found = self._known.get(name)
        if found is None:
            raise NotFound(f"no shared memory region is named {name[:100]!r}; register it first")
        return found

    def _within(self, name: str, offset: int, size: int) -> Region:
        one = self._find(name)
        if offset + size > one.size:
            raise BadRequest(f"region {name!r} has {one.size} bytes, {size} from byte {offset} were asked for")
        return one


def _in_memory(descriptor: int) -> bool:
    """Whether a file lies in memory, and not on a disk, a network or in another program (FUSE), which could make the
    server wait: only such files can be sealed."""
    try:
        fcntl.fcntl(descriptor, fcntl.F_GET_SEALS)
    except OSError:
        return False
    return True


@dataclass(frozen=True)
class Place:
    """Where in a region a tensor lies or is to be laid."""

    regions: Regions
    region: str
    offset: int
    size: int

    def read(self) -> bytes:
        """The tensor's bytes. Raises BadRequest, NotFound."""
        return self.regions.read(self.region, self.offset, self.size)

    def write(self, raw: Buffer) -> dict[str, Any]:
        """Lay a tensor there; what the reply says of it. Raises BadRequest, NotFound."""
        self.regions.write(self.region, self.offset, self.size, raw)
        told: dict[str, Any] = {"shared_memory_region": self.region, "shared_memory_byte_size": len(raw)}
        return told | ({"shared_memory_offset": self.offset} if self.offset else {})


def place(parameters: Mapping[str, Any], regions: Regions | None) -> Place | None:
    """Where a tensor's parameters say it is, or None when it is not in shared memory. Raises BadRequest."""
    region, size, offset = map(parameters.get, PARAMETERS)
    if region is None and size is None and offset is None:
        return None
    if regions is None:
        raise BadRequest("shared memory is for clients on this machine: the server listens beyond it, send the tensor")
    if not isinstance(region, str) or type(size) is not int or size < 0:
        raise BadRequest("shared_memory_region (a name) and shared_memory_byte_size (a size) are given together")
    if offset is not None and (type(offset) is not int or offset < 0):
        raise BadRequest("'shared_memory_offset' is no whole number")
    return Place(regions, region, offset or 0, size)


def check_places(places: Iterable[Place | None], regions: Regions | None) -> None:
    """Raise BadRequest when a request reads more than it may: it takes few bytes to name many."""
    named = sum([place.size for place in places if place is not None])
    if regions is not None and named > regions.most_bytes:
        raise BadRequest(f"a request may name {regions.most_bytes:,} bytes of shared memory, this one names {named:,}")
