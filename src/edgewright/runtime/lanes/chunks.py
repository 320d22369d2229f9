"""A body in chunks (RFC 9112, section 7.1), read strictly: what two readers could read differently is refused."""

from __future__ import annotations

import re

from edgewright.runtime.lanes.basin import Basin

_SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})(?:[ \t]*;[^\r\n]*)?")
_LINE = 256
"""Bytes of a size line with its extensions, which are ignored."""
_TURN = 512
"""Chunks that are taken at a time: 64 KiB of chunks of one byte are 15 ms of work."""


_SMALL = 2**20


class BadChunk(Exception):  # noqa: N818 - caught at once and turned into a reply
    """``status`` and what is wrong."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


class Chunks:
    """One body after the other. ``most``: bytes of a body, ``trailer``: of what may follow it (and is dropped)."""

    def __init__(self, most: int, trailer: int) -> None:
        self._most, self._trailer = most, trailer
        self._body = bytearray()
        self._basin: Basin | None = None
        """What came of a large body."""
        self._left = -1  # bytes of the chunk that are still to come; -1: its size is
        self._last, self._dropped = False, 0
        self.paused = False
        """Whether ``take`` stopped before it had looked at all that was there: call it again."""

    def __len__(self) -> int:
        return len(self._body) if self._basin is None else self._basin.size

    def _add(self, data: memoryview) -> None:
        if self._basin is None:
            self._body += data
            if len(self._body) > _SMALL:
                self._basin = Basin(self._most)
                self._basin.pour(self._body)
        else:
            self._basin.add(data)

    def take(self, buffer: bytearray) -> bytes | memoryview | None:
        """Take what is there out of ``buffer``; the body when it is whole. Raises BadChunk."""
        self.paused = False
        for _ in range(2 * _TURN):
            if self._last:
                return self._end(buffer)
            if self._left < 0:
                line = self._line(buffer, _LINE, "a chunk's size is no number")
                if line is None:
                    return None
                found = _SIZE.fullmatch(line)
                if found is None:
                    raise BadChunk(400, "a chunk's size is no number")
                self._left = int(found[1], 16)
                if len(self) + self._left > self._most:
                    raise BadChunk(413, f"the body may have {self._most:,} bytes")
                self._last = not self._left
                continue
            taken = min(self._left, len(buffer))
            self._add(memoryview(buffer)[:taken])
            del buffer[:taken]
            self._left -= taken
            if self._left or len(buffer) < 2:
                return None
            if buffer[:2] != b"\r\n":
                raise BadChunk(400, "a chunk is longer than its size")
            del buffer[:2]
            self._left = -1
        self.paused = True
        return None

    def _end(self, buffer: bytearray) -> bytes | memoryview | None:
        while True:
            line = self._line(buffer, self._trailer - self._dropped, f"trailers may have {self._trailer:,} bytes")
            if line is None:
                return None
            if b"\n" in line or b"\r" in line:  # what another reader could take for a line's end
                raise BadChunk(400, "a trailer is no header")
            self._dropped += len(line) + 2
            if not line:
                body = bytes(self._body) if self._basin is None else self._basin.body
                self._body.clear()
                self._basin = None
                self._left, self._last, self._dropped = -1, False, 0
                return body

    @staticmethod
    def _line(buffer: bytearray, most: int, why: str) -> bytes | None:
        end = buffer.find(b"\r\n", 0, max(most, 0) + 2)
        if end < 0:
            if len(buffer) > most:
                raise BadChunk(400, why)
            return None
        line = bytes(buffer[:end])
        del buffer[: end + 2]
        return line
