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

import os
import select
import socket
import struct
import time
from collections.abc import Callable
from typing import Any

from edgewright.core.errors import EdgewrightError
from edgewright.core.strict import parse_json
from edgewright.runtime.faults import BadRequest, Fault, fault_json
from edgewright.runtime.lanes.limits import Budget, Limits
from edgewright.runtime.lanes.loop import Loop
from edgewright.runtime.lanes.outbox import Buffer
from edgewright.runtime.lanes.stream import Body, GiveUp, Stream
from edgewright.runtime.oip.regions import Regions

MAGIC = b"EWF1"
HEADER = struct.Struct("<4sBBHIII")
INFER, ATTACH = 0, 1
_SILENCE_S = 75.0
_PIECE = 2**18
"""Bytes that are read of a large frame at a time."""
_MOST_REGIONS = 256
_HANDLES = 4
"""File descriptors that may have come and not been attached."""

Lane = Callable[[socket.socket], Stream]
Answer = Callable[[Any], None]
"""Called once, on the loop's thread, with the whole reply."""
Handler = Callable[[Body, int, int, int, float | None, Regions | None, Answer], GiveUp | None]
"""Answers: the frame, where its JSON starts and ends, priority (0: the usual), timeout in s, the client's own memory.
Returns what gives the request up, while it is not answered."""


def frame_head(status: int, told: int, size: int) -> bytes:
    """What a reply begins with: ``told`` bytes of JSON follow, ``size`` bytes with the tensors."""
    return HEADER.pack(MAGIC, INFER, 0, 0, status, told, size)


def frame_fault(status: int, why: str) -> bytes:
    """An error as a reply."""
    told = fault_json(why)
    return frame_head(status, len(told), len(told)) + told


class FrameConnection(Stream):
    """One client: requests are answered in the order they came."""

    def __init__(self, sock: socket.socket, loop: Loop, handler: Handler, limits: Limits,
                 budget: Budget, closed: Callable[[Any], None]) -> None:  # fmt: skip
        super().__init__(sock, loop, closed, limits, budget)
        self._handler = handler
        self._wanted = 0
        """Bytes of the frame that is being read."""
        self._fds: list[int] = []
        self._regions: Regions | None = None

    def _asleep(self, now: float) -> bool:
        """Whether a frame has been left unfinished for too long; an idle connection may stay."""
        begun = bool(self._in) or self._basin is not None
        return begun and now - self.since > self._limits.request_s

    def close(self) -> None:
        """End the connection and give its memory back. May be called twice."""
        for fd in self._fds:
            os.close(fd)
        self._fds.clear()
        if self._regions is not None:
            self._budget.regions -= len(self._regions)
            self._regions.close()
        super().close()

    def expire(self) -> None:
        """Tell whoever is still sending a frame that it took too long."""
        self._break(408, f"the frame did not come whole within {self._limits.request_s:g} s")

    def _cut(self) -> None:
        self._break(400, "the connection ended before the frame did")

    def _break(self, status: int, why: str) -> None:
        if (self._in or self._basin is not None) and not self.held_up:
            self._refuse(status, why)
        else:
            self.close()

    def _refuse(self, status: int, why: str) -> None:
        """Say so, and no more: where the next frame begins is not known."""
        self._budget.refused[status] += 1
        self._in.clear()
        self._basin = None
        self._part()
        self._answer(frame_fault(status, why))

    def _receive(self, most: int) -> bytes:
        try:
            data, ancillary, _, _ = self._sock.recvmsg(most, _SPACE)
        except BlockingIOError:
            return b""
        except OSError:
            self.close()
            return b""
        for level, kind, raw in ancillary:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                self._fds += struct.unpack(f"{len(raw) // 4}i", raw[: len(raw) // 4 * 4])
        if len(self._fds) > _HANDLES:
            self.close()
            return b""
        if not data:
            self._cut()
        return data

    def _read(self) -> None:
        data = self._receive(65536 if self._basin is None else _PIECE)
        if not data or self._ending:
            return
        if self.held_up:
            self._keep(data)
            return
        if not self._in and self._basin is None:
            self.since = time.monotonic()
            if len(data) == HEADER.size + int.from_bytes(data[16:20], "little"):
                self._ask(data)  # the usual request lies in one piece: no copy into a buffer
                return
        self._in += data
        self._go_on()
        if not self._account() and not self._waiting:
            self._refuse(503, "all connections together hold as much as they may; ask again later")

    def _take(self) -> bool:
        if self._basin is None:
            if len(self._in) < HEADER.size:
                return False
            magic, *_, size = HEADER.unpack_from(self._in)
            if magic != MAGIC or size > self._limits.body_bytes:
                self._ask(bytes(self._in[: HEADER.size]))
                return False
            self._wanted = HEADER.size + size
        frame = self._whole(self._wanted)
        if frame is None:
            return False
        self._size = len(frame)
        self._ask(frame)
        return True

    def _ask(self, frame: Body) -> None:
        magic, kind, priority, zero, timeout_us, head, size = HEADER.unpack_from(frame)
        if magic != MAGIC or zero or head > size:
            self._refuse(400, "this is no frame of this protocol")
            return
        if size > self._limits.body_bytes:
            self._refuse(413, f"a frame may have {self._limits.body_bytes:,} bytes, this one has {size:,}")
            return
        self._waiting = True
        try:
            if kind == INFER:
                timeout_s = timeout_us / 1e6 if timeout_us else None
                self._give_up = self._handler(
                    frame, HEADER.size, HEADER.size + head, priority, timeout_s, self._regions, self._answer
                )
            elif kind == ATTACH:
                self._attach(bytes(frame[HEADER.size :]))
                self._answer(frame_head(200, 2, 2) + b"{}")
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
            if self._budget.regions >= _MOST_REGIONS:
                raise BadRequest(f"{_MOST_REGIONS} memory files are attached by all clients, which is the most")
            if self._regions is None:
                self._regions = Regions(most_bytes=self._limits.body_bytes)
            before = len(self._regions)
            try:
                self._regions.adopt(name, fds.pop())
            finally:
                self._budget.regions += len(self._regions) - before
        finally:
            for fd in fds:
                os.close(fd)

    def _answer(self, reply: bytes | list[Buffer]) -> None:
        self._waiting, self._give_up = False, None
        size = len(reply) if isinstance(reply, bytes) else sum(map(len, reply))
        if not self._fits(size):
            reply = frame_fault(503, self._budget.too_large(size))
        if self._draining and not self._in:
            self._part()
        if isinstance(reply, bytes):
            self._send(reply)
        else:
            self._send_all(reply)
        if self._held:
            self._size = 0
            self._account()
        if (self._in or self._deaf) and self._sock.fileno() >= 0:
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
