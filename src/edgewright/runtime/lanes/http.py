"""HTTP/1.1 on the loop. Heads that came before are looked up, not parsed; httptools reads all others."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httptools

from edgewright.runtime import logs
from edgewright.runtime.lanes.chunks import BadChunk, Chunks
from edgewright.runtime.lanes.limits import Budget, Limits
from edgewright.runtime.lanes.loop import Loop
from edgewright.runtime.lanes.stream import SMALL, GiveUp, Stream

_END = b"\r\n\r\n"
_TLS, _HTTPS = b"\x16", "https on an http port"
"""How a TLS client begins (RFC 8446, 5.1: a handshake record), and what it is counted as. What it is told comes in
plain text, as it would from nginx: its own library says that this is no TLS."""
_MOST_HEADERS = 128
_MEMO = 256
REASONS = {
    200: "OK", 400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed",
    408: "Request Timeout", 411: "Length Required", 413: "Content Too Large", 414: "URI Too Long",
    415: "Unsupported Media Type", 421: "Misdirected Request", 431: "Request Header Fields Too Large",
    499: "Client Closed Request", 500: "Internal Server Error", 501: "Not Implemented", 503: "Service Unavailable",
    504: "Gateway Timeout",
}  # fmt: skip


@dataclass(frozen=True)
class Head:
    """A request's head. ``headers``: lower-case names; one that came twice keeps both, comma-separated."""

    method: str
    target: str
    headers: dict[str, str]
    length: int
    alive: bool
    chunked: bool = False
    memo: dict[str, Any] = field(default_factory=dict, compare=False)
    """What handlers keep with this very head, for the next request that has it."""


class BadHead(Exception):  # noqa: N818 - caught at once and turned into a reply
    """``status``, what is wrong, and further header lines for the reply (each ending in CRLF)."""

    def __init__(self, status: int, why: str, more: bytes = b"") -> None:
        super().__init__(why)
        self.status, self.more = status, more


Reply = tuple[int, bytes, bytes] | bytes
"""Status, further header lines (each ending in CRLF), body; or all of a reply of status 200 as it goes on the wire."""
Answer = Callable[[Reply], None]
Handler = Callable[[Head, bytes, Answer], GiveUp | None]
"""Answers a request by calling the third argument once, at once or later, on the loop's thread; in the second case it
may return what gives the request up."""
JSON = b"Content-Type: application/json\r\n"


def fault_reply(status: int, why: str, retry_s: int = 0) -> tuple[int, bytes, bytes]:
    """The protocol's error; ``retry_s``: when to ask again, 0 where that is not known to help."""
    more = b"%sRetry-After: %d\r\n" % (JSON, retry_s) if retry_s else JSON
    return status, more, json.dumps({"error": why}).encode()


class _Collector:
    """What httptools calls back while it reads one head."""

    def __init__(self) -> None:
        self.target, self.headers = b"", list[tuple[bytes, bytes]]()
        self.begun = 0

    def on_message_begin(self) -> None:
        self.begun += 1

    def on_url(self, url: bytes) -> None:
        self.target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name, value))


def read_head(raw: bytes, limits: Limits) -> Head:
    """The head in ``raw``, which ends in an empty line. Raises BadHead."""
    collector = _Collector()
    parser = httptools.HttpRequestParser(collector)
    try:
        parser.feed_data(raw)
    except httptools.HttpParserUpgrade:
        pass
    except httptools.HttpParserError as error:
        raise BadHead(400, f"this is no HTTP/1.1 request: {error}") from error
    if collector.begun != 1:
        raise BadHead(400, "this is not one HTTP/1.1 request")
    if len(collector.headers) > _MOST_HEADERS:
        raise BadHead(431, f"a request may have {_MOST_HEADERS} headers")
    headers: dict[str, str] = {}
    for name, value in collector.headers:
        key, text = name.decode("latin-1").lower(), value.decode("latin-1").strip()
        if key in ("content-length", "transfer-encoding", "host") and key in headers and headers[key] != text:
            raise BadHead(400, f"the header {key} is given twice, differently")
        headers[key] = f"{headers[key]}, {text}" if key in headers and headers[key] != text else text
    chunked = "transfer-encoding" in headers
    if chunked and (headers["transfer-encoding"].lower() != "chunked" or "content-length" in headers):
        raise BadHead(400, "Transfer-Encoding is chunked alone, and excludes Content-Length")
    told = headers.get("content-length", "0")
    if not told.isascii() or not told.isdigit() or len(told) > 15:
        raise BadHead(400, "Content-Length is no number")
    if int(told) > limits.body_bytes:
        raise BadHead(413, f"the body may have {limits.body_bytes:,} bytes, {int(told):,} are announced")
    if "host" not in headers and parser.get_http_version() == "1.1":
        raise BadHead(400, "a request of HTTP/1.1 names its Host (RFC 9112, 3.2)")
    method = parser.get_method().decode("ascii")
    # Not the parser's should_keep_alive: it speaks of the next message once this one is complete.
    wishes = {wish.strip() for wish in headers.get("connection", "").lower().split(",")}
    alive = "close" not in wishes and (parser.get_http_version() == "1.1" or "keep-alive" in wishes)
    return Head(method, collector.target.decode("latin-1"), headers, int(told), alive, chunked)


class Heads:
    """Heads by their very bytes (``known``, another dict after ``forget``); the oldest are forgotten first.

    ``check`` is asked about each new head and raises BadHead where its sender may not ask: what it let pass is let
    pass again until ``forget``.
    """

    def __init__(self, limits: Limits, check: Callable[[Head], None] | None = None) -> None:
        self._limits, self._check, self.known = limits, check, dict[bytes, Head]()

    def forget(self) -> None:
        """Check every head anew."""
        self.known = {}

    def find(self, raw: bytes) -> Head:
        """The head in ``raw``. Raises BadHead."""
        head = self.known.get(raw)
        if head is None:
            head = read_head(raw, self._limits)
            if self._check is not None:
                self._check(head)
            self.known[raw] = head
            if len(self.known) > _MEMO:
                del self.known[next(iter(self.known))]
        return head


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
        self._size = 0
        """Of the body that is being answered, where it was buffered."""
        self._chunks = Chunks(limits.body_bytes, limits.head_bytes)

    def _asleep(self, now: float) -> bool:
        """Whether the client has kept a request unfinished, or said nothing at all, for too long."""
        unfinished = bool(self._in) or self._head is not None
        return now - self.since > (self._limits.request_s if unfinished else self._limits.idle_s)

    def _read(self) -> None:
        wanted = 65536 if self._head is None else max(self._head.length - len(self._in), 65536)
        data = self._receive(min(wanted, 1 << 20))
        if not data:
            return
        if not self._in and self._head is None:
            self.since = time.monotonic()  # of a request's first byte: trickling does not help
        if self._ending:
            return  # nobody reads it: it is only taken so that the reply is not lost to a reset
        if self._waiting or self._out:  # pipelined: kept until the one before is answered, and read
            self._in += data
            if len(self._in) > self._limits.head_bytes + self._limits.body_bytes or not self._account():
                self.close()
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
        if not self._account():
            self._refuse(503, "all connections together hold as much as they may; ask again later")

    def _holds(self) -> int:
        return super()._holds() + len(self._chunks) + (self._size if self._waiting else 0)

    @property
    def _between(self) -> bool:
        return self._head is None and super()._between

    def _find(self, raw: bytes) -> Head | None:
        try:
            return self._heads.find(raw)
        except BadHead as error:
            self._refuse(error.status, str(error), error.more)
            return None

    def _take(self) -> None:
        while not self.held_up:
            if self._head is None:
                end = self._in.find(_END, 0, self._limits.head_bytes)
                if end < 0:
                    if self._in.startswith(_TLS):
                        why = "this port speaks http, not https; write http:// in the address"
                        self._refuse(400, why, counted=_HTTPS)
                    elif len(self._in) > self._limits.head_bytes:
                        self._refuse(431, f"the head may have {self._limits.head_bytes:,} bytes")
                    return
                head = self._find(bytes(self._in[: end + 4]))
                if head is None:
                    return
                del self._in[: end + 4]
                self._head = head
                if head.headers.get("expect", "").lower() == "100-continue":
                    self._send(b"HTTP/1.1 100 Continue\r\n\r\n")
            body = self._body(self._head)
            if body is None:
                return
            head, self._head = self._head, None
            self._size = len(body)
            self._ask(head, body)

    def _body(self, head: Head) -> bytes | None:
        """The body when it is whole; None when more must come (or the connection is being ended)."""
        if not head.chunked:
            if len(self._in) < head.length:
                return None
            body = bytes(self._in[: head.length])
            del self._in[: head.length]
            return body
        try:
            return self._chunks.take(self._in)
        except BadChunk as error:
            self._refuse(error.status, str(error))
            return None

    def _ask(self, head: Head, body: bytes) -> None:
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
        size = len(reply) if isinstance(reply, bytes) else len(reply[2])
        if size > SMALL and not self._fits(size):
            reply = fault_reply(503, self._budget.too_large(size), retry_s=1)
        if not head.alive:
            self._ending = True
        elif self._draining and not self._in:
            self._part()
        self._send(reply if type(reply) is bytes and not self._ending else self._spelled(reply, head.method == "HEAD"))
        if self._held:
            self._account()
        if self._in and self._sock.fileno() >= 0:
            self._go_on()

    def _spelled(self, reply: Reply, head_only: bool) -> bytes:
        ending = b"Connection: close\r\n" if self._ending else b""
        if isinstance(reply, bytes):
            line, _, rest = reply.partition(b"\r\n")
            return b"%s\r\n%s%s" % (line, ending, rest)
        status, more, body = reply
        line = b"HTTP/1.1 %d %s\r\n" % (status, REASONS.get(status, "Unknown").encode())
        return b"%s%s%sContent-Length: %d\r\n\r\n%s" % (line, more, ending, len(body), b"" if head_only else body)

    def _refuse(self, status: int, why: str, more: bytes = b"", counted: str = "") -> None:
        self._budget.refused[counted or status] += 1
        self._in.clear()
        self._chunks = Chunks(self._limits.body_bytes, self._limits.head_bytes)
        self._account()
        self._ending = self._lingering = True
        self.since = time.monotonic()
        _, kind, body = fault_reply(status, why)
        self._send(self._spelled((status, kind + more, body), False))
