"""Bytes by their digest: a bundle's single file, a file inside one, a chunk of a delta.

A packed bundle is not compressed, so a file inside it is a range of the object, and nothing is stored twice.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import select

from edgewright.hub.errors import Absent
from edgewright.hub.library.tables import Piece
from edgewright.hub.objects import Objects, objects
from edgewright.hub.state import State

_DIGEST = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True)
class File:
    """``length`` bytes whose SHA-256 is ``sha256``."""

    sha256: str
    length: int
    _objects: Objects
    _tenant: str
    _object: str
    _start: int

    def read(self, start: int, length: int) -> bytes:
        """``length`` bytes from ``start``, fewer at the end. They are not verified: who asks by a digest does that.
        Raises Absent, StorageError."""
        begin = max(start, 0)
        return self._objects.read(self._tenant, self._object, self._start + begin, min(length, self.length - begin))

    def pieces(self, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        """The same, a mebibyte at a time."""
        whole = self.length - start if length is None else min(length, self.length - start)
        return self._objects.pieces(self._tenant, self._object, self._start + start, whole)


def open_file(state: State, tenant: str, sha256: str) -> File:
    """The tenant's bytes with this digest. Raises Absent, StorageError."""
    if not _DIGEST.fullmatch(sha256):
        raise Absent(f"there are no bytes {sha256[:80]!r}")
    with state.database.read(tenant) as session:
        row = session.scalars(select(Piece).where(Piece.digest == sha256).limit(1)).one_or_none()
    if row is None:
        raise Absent(f"there are no bytes {sha256!r}")
    return File(sha256, row.length, objects(state), tenant, row.object, row.start)
