"""Wire: HTTP/1.1 over TLS 1.3 on asyncio, small enough that one process holds the connections of a whole fleet.

One TLS context serves all devices: OpenSSL copies certificate and key into a connection when it is made (``SSL_new``),
so each connection is dressed in its device's just before. A context for each device would take 33 kB more.
"""

from __future__ import annotations

import asyncio
import ssl
from asyncio import sslproto
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import httptools

from edgewright.agent.net.hub import CONNECT_S, PATIENCE_S, Offline, Refusal, place
from edgewright.trust.authority import client_context, first_contact_context

MOST_BYTES = 2**20


@dataclass
class Answer:
    """What came. ``headers`` by lower-case name."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


def lean() -> None:
    """For this process: TLS connections of asyncio with a read buffer of 16 KiB, a record's size, not of 256."""
    sslproto.SSLProtocol.max_size = 16384


class Dialer:
    """Makes connections to the hub at ``url`` (``https://HOST:PORT``). Raises InputError."""

    def __init__(self, url: str) -> None:
        self.host, self.port = place(url)
        self._contexts: dict[tuple[bytes | None, bool], ssl.SSLContext] = {}

    async def dial(self, anchors: bytes | None, identity: Path | None = None, seconds: float = CONNECT_S) -> Line:
        """A connection, with the certificate in ``identity`` if there is one; ``anchors`` None checks nobody (the first
        contact). Raises Offline, TrustError."""
        loop = asyncio.get_running_loop()
        context = _Dressed(self._context(anchors, identity is not None), identity)
        try:
            _, line = await loop.create_connection(
                lambda: Line(loop), self.host, self.port, ssl=cast(ssl.SSLContext, context),
                server_hostname=self.host, ssl_handshake_timeout=seconds, ssl_shutdown_timeout=0.5,
            )  # fmt: skip
        except (OSError, ssl.SSLError) as error:
            raise Offline(f"the hub cannot be reached: {str(error)[:200] or type(error).__name__}") from error
        return line

    def _context(self, anchors: bytes | None, dressed: bool) -> ssl.SSLContext:
        made = self._contexts.get((anchors, dressed))
        if made is None:
            made = first_contact_context() if anchors is None else client_context(None, anchors)
            self._contexts[anchors, dressed] = made
        return made


class _Dressed:
    """The part of a TLS context that asyncio uses, for one connection."""

    def __init__(self, context: ssl.SSLContext, identity: Path | None) -> None:
        self._context, self._identity = context, identity

    def wrap_bio(self, *parts: Any, **more: Any) -> ssl.SSLObject:
        if self._identity is not None:
            self._context.load_cert_chain(self._identity)
        return self._context.wrap_bio(*parts, **more)


class Line(asyncio.Protocol):
    """One connection, one request at a time. ``lost`` is called once when it is over."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._transport: asyncio.Transport | None = None
        self._parser: Any = httptools.HttpResponseParser(self)
        self._waiting: asyncio.Future[Answer] | None = None
        self._answer, self._parts, self._size = Answer(), list[bytes](), 0
        self._sink: Callable[[bytes], None] | None = None
        self._most = MOST_BYTES
        self.lost: Callable[[], None] = _nothing
        self.sent, self.received = 0, 0

    @property
    def open(self) -> bool:
        """Whether it can still be asked."""
        return self._transport is not None and not self._transport.is_closing()

    async def ask(
        self, method: str, path: str, body: bytes = b"", *, seconds: float = PATIENCE_S, most_bytes: int = MOST_BYTES,
        headers: Mapping[str, str] | None = None, sink: Callable[[bytes], None] | None = None,
    ) -> Answer:  # fmt: skip
        """The answer below 400. ``sink`` is given its body piece by piece; without one it is kept, ``most_bytes`` at
        most. Raises Offline, Refusal."""
        if not self.open or self._waiting is not None:
            raise Offline("the connection is closed" if self._waiting is None else "the connection is in use")
        assert self._transport is not None
        told = {"Content-Type": "application/json"} if method == "POST" else {}
        lines = [f"{method} {path} HTTP/1.1", "Host: hub", f"Content-Length: {len(body)}"]
        lines += [f"{name}: {value}" for name, value in {**told, **(headers or {})}.items()]
        data = "\r\n".join([*lines, "", ""]).encode("ascii") + body
        self.sent += len(data)
        self._answer, self._parts, self._size = Answer(), [], 0
        self._sink, self._most = sink, most_bytes
        self._waiting = self._loop.create_future()
        timer = self._loop.call_later(seconds, self._fail, f"no answer within {seconds:g} s")
        try:
            self._transport.write(data)
            answer = await self._waiting
        except asyncio.CancelledError:
            self.abort()
            raise
        finally:
            timer.cancel()
            self._waiting = self._sink = None
        if answer.status >= 400:
            after = answer.headers.get("retry-after", "")
            why = f"the hub refuses (status {answer.status}): {answer.body[:200].decode('utf-8', 'replace')}"
            raise Refusal(why, answer.status, min(float(after), 3600.0) if after.isdecimal() else 0.0)
        return answer

    def nudge(self) -> None:
        """A parked poll is to be answered now: there is something to say on this connection (an empty line, which
        stands before a request as if it were not there: RFC 9112, section 2.2)."""
        if self.open and self._waiting is not None:
            assert self._transport is not None
            self._transport.write(b"\r\n")

    def close(self) -> None:
        """End it."""
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """End it as a cut cable would."""
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """asyncio's."""
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """asyncio's."""
        self.received += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._fail(f"the answer is no HTTP: {error}")

    def connection_lost(self, exc: Exception | None) -> None:
        """asyncio's."""
        self._transport = self._parser = None
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(Offline(f"the connection was lost: {exc or 'it was closed'}"))
        self.lost()
        self.lost = _nothing

    def on_header(self, name: bytes, value: bytes) -> None:
        """httptools'."""
        self._answer.headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        """httptools'."""
        self._answer.status = self._parser.get_status_code()

    def on_body(self, data: bytes) -> None:
        """httptools'."""
        if self._sink is not None and self._answer.status < 400:
            self._sink(data)
            return
        self._size += len(data)
        if self._size > self._most:
            self._fail(f"the answer has more than {self._most:,} bytes")
        self._parts.append(data)

    def on_message_complete(self) -> None:
        """httptools'."""
        if self._answer.status < 200:
            return
        self._answer.body, self._parts = b"".join(self._parts), []
        if not self._parser.should_keep_alive():
            self.close()
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(self._answer)

    def _fail(self, why: str) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(Offline(why))
        self.abort()


def _nothing() -> None:
    pass
