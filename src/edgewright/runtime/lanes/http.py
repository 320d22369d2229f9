"""HTTP/1.1 on the loop."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable

from edgewright.runtime import logs
from edgewright.runtime.faults import fault_json
from edgewright.runtime.lanes.chunks import BadChunk, Chunks
from edgewright.runtime.lanes.heads import BadHead, Head, Heads, read_head
from edgewright.runtime.lanes.limits import Budget, Limits
from edgewright.runtime.lanes.loop import Loop
from edgewright.runtime.lanes.outbox import Buffer
from edgewright.runtime.lanes.stream import SMALL, Body, GiveUp, Stream

__all__ = ["BadHead", "Head", "Heads", "Limits", "read_head"]
_END = b"\r\n\r\n"
_TLS, _HTTPS = b"\x16", "https on an http port"
"""How a TLS client begins (RFC 8446, 5.1: a handshake record), and what it is counted as. What it is told comes in
plain text, as it would from nginx: its own library says that this is no TLS."""
_PIECE = 2**18
"""Bytes that are read of a large body at a time."""
REASONS = {
    200: "OK", 400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed",
    408: "Request Timeout", 411: "Length Required", 413: "Content Too Large", 414: "URI Too Long",
    415: "Unsupported Media Type", 421: "Misdirected Request", 431: "Request Header Fields Too Large",
    499: "Client Closed Request", 500: "Internal Server Error", 501: "Not Implemented", 503: "Service Unavailable",
    504: "Gateway Timeout", 505: "HTTP Version Not Supported",
}  # fmt: skip


Reply = tuple[int, bytes, bytes] | bytes | list[Buffer]
"""Status, further header lines (each ending in CRLF), body; or all of a reply of status 200 as it goes on the wire, in
one piece or, where it is long, in several, its head in the first."""
Answer = Callable[[Reply], None]
Handler = Callable[[Head, Body, Answer], GiveUp | None]
"""Answers a request by calling the third argument once, at once or later, on the loop's thread; in the second case it
may return what gives the request up."""
JSON = b"Content-Type: application/json\r\n"


def fault_reply(status: int, why: str, retry_s: int = 0) -> tuple[int, bytes, bytes]:
    """The protocol's error; ``retry_s``: when to ask again, 0 where that is not known to help."""
    more = b"%sRetry-After: %d\r\n" % (JSON, retry_s) if retry_s else JSON
    return status, more, fault_json(why)


def reply_size(reply: Reply) -> int:
    """Bytes of a reply, or of its body."""
    if isinstance(reply, bytes):
        return len(reply)
    return sum(map(len, reply)) if isinstance(reply, list) else len(reply[2])


class Connection(Stream):
    """One client. Requests are answered in the order they came; the next is read when the one before is answered."""

    def __init__(self, sock: socket.socket, loop: Loop, handler: Handler, heads: Heads, limits: Limits,
                 budget: Budget, closed: Callable[[Connection], None]) -> None:  # fmt: skip
        super().__init__(sock, loop, closed, limits, budget)
        self._handler, self._heads = handler, heads
        self._head: Head | None = None
        self._last: tuple[bytes, Head, dict[bytes, Head]] | None = None
        """The last head, its bytes, and what it was found in: most clients send the same again and again."""
        self._asked: Head
        self._chunks = Chunks(limits.body_bytes, limits.head_bytes)

    def _asleep(self, now: float) -> bool:
        """Whether the client has kept a request unfinished, or said nothing at all, for too long."""
        return now - self.since > (self._limits.request_s if self._unfinished else self._limits.idle_s)

    @property
    def _unfinished(self) -> bool:
        return bool(self._in) or self._head is not None

    def expire(self) -> None:
        """Tell whoever is still sending a request that it took too long."""
        if self._unfinished and not self.held_up:
            self._refuse(408, f"the request did not come whole within {self._limits.request_s:g} s{self._missing()}")
        else:
            self.close()

    def _cut(self) -> None:
        if self._unfinished and not self.held_up:  # what is lost is told to who can still hear
            self._refuse(400, f"the connection ended before the request did{self._missing()}")
        else:
            self.close()

    def _missing(self) -> str:
        if self._head is None:
            return ": its head has no end"
        if self._head.chunked:
            return ": its last chunk is missing"
        came = len(self._in) if self._basin is None else self._basin.size
        return f": {self._head.length:,} bytes of body were announced, {came:,} came"

    def _read(self) -> None:
        data = self._receive(65536 if self._basin is None else _PIECE)
        if not data:
            return
        if not self._in and self._head is None:
            self.since = time.monotonic()  # of a request's first byte: trickling does not help
        if self._ending:
            return  # nobody reads it: it is only taken so that the reply is not lost to a reset
        if self._waiting or self._behind or self._out.size:  # pipelined: kept until that is answered
            self._keep(data)
            return
        if not self._in and self._head is None:
            # The usual request lies in one piece: no copy into a buffer.
            last = self._last
            if last is not None and last[2] is self._heads.known and data.startswith(last[0]):
                raw, head, _ = last
                if len(data) == len(raw) + head.length:
                    self._ask(head, data[len(raw) :])
                    return
            end = data.find(_END)
            if end >= 0:
                raw = data[: end + 4]
                found = self._find(raw)
                if found is None:
                    return
                if not found.chunked and len(data) == end + 4 + found.length:
                    self._last = raw, found, self._heads.known
                    self._ask(found, data[end + 4 :])
                    return
        self._in += data
        self._go_on()
        if not self._account() and not self._waiting:
            self._refuse(503, "all connections together hold as much as they may; ask again later")

    def _holds(self) -> int:
        return super()._holds() + len(self._chunks)

    @property
    def _between(self) -> bool:
        return self._head is None and super()._between

    def _find(self, raw: bytes) -> Head | None:
        try:
            return self._heads.find(raw)
        except BadHead as error:
            self._refuse(error.status, str(error), error.more)
            return None

    def _take(self) -> bool:
        if self._head is None:
            end = self._in.find(_END, 0, self._limits.head_bytes)
            if end < 0:
                if self._in.startswith(_TLS):
                    why = "this port speaks http, not https; write http:// in the address"
                    self._refuse(400, why, counted=_HTTPS)
                elif len(self._in) > self._limits.head_bytes:
                    self._refuse(431, f"the head may have {self._limits.head_bytes:,} bytes")
                return False
            head = self._find(bytes(self._in[: end + 4]))
            if head is None:
                return False
            del self._in[: end + 4]
            self._head = head
            if head.headers.get("expect", "").lower() == "100-continue":
                self._send(b"HTTP/1.1 100 Continue\r\n\r\n")
        body = self._body(self._head)
        if body is None:
            return self._chunks.paused
        head, self._head = self._head, None
        self._size = len(body)
        self._ask(head, body)
        return True

    def _body(self, head: Head) -> Body | None:
        """The body when it is whole; None when more must come (or the connection is being ended)."""
        if not head.chunked:
            return self._whole(head.length)
        try:
            return self._chunks.take(self._in)
        except BadChunk as error:
            self._refuse(error.status, str(error))
            return None

    def _ask(self, head: Head, body: Body) -> None:
        self._waiting, self._asked = True, head
        try:
            self._give_up = self._handler(head, body, self._answer)
        except Exception:  # noqa: BLE001 - a fault of ours must cost its sender an error, and nobody else anything
            logs.trouble("a request could not be answered")
            if self._waiting:
                self._answer(fault_reply(500, "the server has a fault; its log says which"))

    def _answer(self, reply: Reply) -> None:
        head = self._asked
        self._waiting, self._give_up = False, None
        size = len(reply) if type(reply) is bytes else reply_size(reply)
        if size > SMALL and not self._fits(size):
            reply = fault_reply(503, self._budget.too_large(size), retry_s=1)
        if not head.alive:
            self._ending = True
        elif self._draining and not self._in:
            self._part()
        if type(reply) is bytes and not self._ending:
            self._send(reply)
        elif isinstance(reply, list):
            self._send_all([self._closing(bytes(reply[0])), *reply[1:]] if self._ending else reply)
        else:
            self._send(self._spelled(reply, head.method == "HEAD"))
        if self._held:
            self._size = 0
            self._account()
        if (self._in or self._deaf) and self._sock.fileno() >= 0:
            self._go_on()

    @staticmethod
    def _closing(reply: bytes) -> bytes:
        line, _, rest = reply.partition(b"\r\n")
        return b"%s\r\nConnection: close\r\n%s" % (line, rest)

    def _spelled(self, reply: tuple[int, bytes, bytes] | bytes, head_only: bool) -> bytes:
        if isinstance(reply, bytes):
            return self._closing(reply)
        ending = b"Connection: close\r\n" if self._ending else b""
        status, more, body = reply
        line = b"HTTP/1.1 %d %s\r\n" % (status, REASONS.get(status, "Unknown").encode())
        return b"%s%s%sContent-Length: %d\r\n\r\n%s" % (line, more, ending, len(body), b"" if head_only else body)

    def _refuse(self, status: int, why: str, more: bytes = b"", counted: str = "") -> None:
        self._budget.refused[counted or status] += 1
        self._in.clear()
        self._basin = None
        self._chunks = Chunks(self._limits.body_bytes, self._limits.head_bytes)
        self._account()
        self._ending = self._lingering = True
        self.since = time.monotonic()
        _, kind, body = fault_reply(status, why)
        self._send(self._spelled((status, kind + more, body), False))
