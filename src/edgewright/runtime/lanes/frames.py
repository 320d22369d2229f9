"""Frames: the protocol's inference without HTTP around it, for programs on this machine, on the Unix socket.

A request is 20 bytes, little-endian, and what an HTTP body would hold: the protocol's JSON and the binary tensors::

    4s  "EWF1"      u8 kind: 0 infer, 1 attach      u8 priority (0: the usual)      u16 0
    u32 timeout in us (0: none)      u32 bytes of JSON      u32 bytes in all

A reply is the same with the HTTP status in place of the last two fields before the sizes. ``attach`` comes with one
file descriptor (SCM_RIGHTS) of a memory file (memfd_create), and names it in its JSON;
tensors may then lie there: an input's or an output's ``shared_memory_region``, ``shared_memory_byte_size`` and
``shared_memory_offset``, as in Triton's extension, on this connection alone.
"""

from __future__ import annotations

import json
import os
import select
import socket
import struct
import time
from collections.abc import Callable
from typing import Any

from edgewright.core.errors import EdgewrightError
from edgewright.core.strict import parse_json
from edgewright.runtime.faults import BadRequest, Fault
from edgewright.runtime.lanes.limits import Budget, Limits
from edgewright.runtime.lanes.loop import Loop
from edgewright.runtime.lanes.stream import GiveUp, Stream
from edgewright.runtime.oip.regions import Regions

MAGIC = b"EWF1"
HEADER = struct.Struct("<4sBBHIII")
INFER, ATTACH = 0, 1
_SILENCE_S = 75.0
_HANDLES = 4
"""File descriptors that may have come and not been attached."""

Lane = Callable[[socket.socket], Stream]
Answer = Callable[[Any], None]
"""Called once, on the loop's thread, with the whole reply."""
Handler = Callable[[bytes, int, int, int, float | None, Regions | None, Answer], GiveUp | None]
"""Answers: the frame, where its JSON starts and ends, priority (0: the usual), timeout in s, the client's own memory.
Returns what gives the request up, while it is not answered."""


def frame_head(status: int, told: bytes, size: int) -> bytes:
    """A reply but for its tensors; ``size`` counts the JSON ``told`` and the tensors."""
    return HEADER.pack(MAGIC, INFER, 0, 0, status, len(told), size) + told


def frame_fault(status: int, why: str) -> bytes:
    """An error as a reply."""
    told = json.dumps({"error": why}).encode()
    return frame_head(status, told, len(told))


class FrameConnection(Stream):
    """One client: requests are answered in the order they came."""

    def __init__(self, sock: socket.socket, loop: Loop, handler: Handler, limits: Limits,
                 budget: Budget, closed: Callable[[Any], None]) -> None:  # fmt: skip
        super().__init__(sock, loop, closed, limits, budget)
        self._handler = handler
        self._fds: list[int] = []
        self._regions: Regions | None = None

    def _asleep(self, now: float) -> bool:
        """Whether a frame has been left unfinished for too long; an idle connection may stay."""
        return bool(self._in) and now - self.since > self._limits.request_s

    def close(self) -> None:
        """End the connection and give its memory back. May be called twice."""
        for fd in self._fds:
            os.close(fd)
        self._fds.clear()
        if self._regions is not None:
            self._regions.close()
        super().close()

    def _receive(self, most: int) -> bytes:
        try:
            data, ancillary, _, _ = self._sock.recvmsg(most, _SPACE)
        except BlockingIOError:
            return b""
        except OSError:
            data, ancillary = b"", []
        for level, kind, raw in ancillary:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                self._fds += struct.unpack(f"{len(raw) // 4}i", raw[: len(raw) // 4 * 4])
        if not data or len(self._fds) > _HANDLES:
            self.close()
        return data

    def _read(self) -> None:
        wanted = 65536
        if len(self._in) >= HEADER.size:
            wanted = max(HEADER.size + HEADER.unpack_from(self._in)[6] - len(self._in), wanted)
        data = self._receive(min(wanted, 1 << 20))
        if not data or self._ending:
            return
        if not self._in:
            self.since = time.monotonic()
            if not self.held_up and len(data) == HEADER.size + int.from_bytes(data[16:20], "little"):
                self._ask(data)  # the usual request lies in one piece: no copy into a buffer
                return
        self._in += data
        if self.held_up and len(self._in) > self._limits.body_bytes:
            self.close()
            return
        self._go_on()
        if not self._account():
            self.close()

    def _take(self) -> None:
        while not self.held_up and len(self._in) >= HEADER.size:
            size = HEADER.size + HEADER.unpack_from(self._in)[6]
            if self._in[:4] == MAGIC and size <= self._limits.body_bytes and len(self._in) < size:
                return
            frame = bytes(self._in[:size])
            del self._in[:size]
            self._ask(frame)

    def _ask(self, frame: bytes) -> None:
        magic, kind, priority, zero, timeout_us, head, size = HEADER.unpack_from(frame)
        if magic != MAGIC or zero or head > size or size > self._limits.body_bytes:
            self._ending = True
            self._answer(frame_fault(400, "this is no frame of this protocol, or one that is too large"))
            return
        self._waiting = True
        try:
            if kind == INFER:
                timeout_s = timeout_us / 1e6 if timeout_us else None
                self._give_up = self._handler(
                    frame, HEADER.size, HEADER.size + head, priority, timeout_s, self._regions, self._answer
                )
            elif kind == ATTACH:
                self._attach(frame[HEADER.size :])
                self._answer(frame_head(200, b"{}", 2))
            else:
                raise BadRequest(f"there is no kind {kind} of frame")
        except Fault as fault:
            self._answer(frame_fault(fault.status, str(fault)))
        except EdgewrightError as error:
            self._answer(frame_fault(500, str(error)))

    def _attach(self, raw: bytes) -> None:
        fds, self._fds = self._fds, []
        try:
            try:
                told = parse_json(raw, 4096)
            except ValueError as error:
                raise BadRequest(f"attach takes JSON: {error}") from error
            name = told.get("name") if isinstance(told, dict) else None
            if not isinstance(name, str) or len(fds) != 1:
                raise BadRequest("attach takes a 'name' and one file descriptor")
            if self._regions is None:
                self._regions = Regions()
            self._regions.adopt(name, fds.pop())
        finally:
            for fd in fds:
                os.close(fd)

    def _answer(self, reply: bytes) -> None:
        self._waiting, self._give_up = False, None
        if not self._fits(len(reply)):
            reply = frame_fault(503, self._budget.too_large(len(reply)))
        if self._draining and not self._in:
            self._part()
        self._send(reply)
        if self._in and self._sock.fileno() >= 0:
            self._go_on()


_SPACE = socket.CMSG_SPACE(4 * 4)


class Greeting(Stream):
    """A client of the Unix socket that has not said a word yet: its first byte tells what it speaks."""

    def __init__(
        self, sock: socket.socket, loop: Loop, lanes: tuple[Lane, Lane], limits: Limits, budget: Budget,
        closed: Callable[[Any], None],
    ) -> None:  # fmt: skip
        super().__init__(sock, loop, closed, limits, budget)
        self._lanes = lanes
        """For HTTP, and for frames."""

    def _asleep(self, now: float) -> bool:
        """Whether it has said nothing for too long."""
        return now - self.since > _SILENCE_S

    def _read(self) -> None:
        try:
            first = self._sock.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return
        except OSError:
            first = b""
        if not first:
            self.close()
            return
        self._loop.forget(self._sock)
        self._closed(self)
        self._ending = True  # the socket is another's now
        self._lanes[first == MAGIC[:1]](self._sock).ready(select.EPOLLIN)
