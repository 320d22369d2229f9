"""Connections: HTTP/1.1 as uvicorn speaks it, with an end to patience. Nobody needs a credential to begin a request, so
what a request takes before it is answered is bounded here, for people and devices alike."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any, ClassVar

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

HEAD_BYTES = 16 * 2**10
"""As much of a request may come without a byte of its body among it: its head, trailers, what stands around chunks. (A
piece that was read at once is counted as a whole.)"""
HEAD_S, BODY_S, STUCK_S = 15.0, 120.0, 60.0
"""How long a request's head may take (from the connection, or its first byte after an answer), and its body; and for
how long a client may read next to nothing of what was written for it."""


class Connection(HttpToolsProtocol):
    """One connection. ``slow_bodies``: a body may take as long as it likes while bytes of it come; ``gone`` is called
    when it is over."""

    slow_bodies: ClassVar[bool] = True

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._bare = 0
        """Bytes since the last one of a body, or the last request's end."""
        self._in_head = True
        self._since: float | None = self.loop.time()
        self._stuck: float | None = None
        self.gone: Callable[[], None] = _nothing

    def connection_lost(self, exc: Exception | None) -> None:
        """It is over."""
        super().connection_lost(exc)
        self.gone()

    def data_received(self, data: bytes) -> None:
        """Bytes of requests; a head or trailers that do not end, end the connection."""
        if self._since is None:
            self._since = self.loop.time()
        self._bare += len(data)
        super().data_received(data)
        if self._bare > HEAD_BYTES:
            self.transport.abort()

    def on_headers_complete(self) -> None:
        """The head is there."""
        self._in_head = False
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """A piece of the body."""
        self._bare = 0
        if self.slow_bodies:
            self._since = self.loop.time()
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The whole request is there: from now on the client waits for us."""
        super().on_message_complete()
        self._in_head, self._bare, self._since = True, 0, None

    def handle_websocket_upgrade(self) -> None:
        """From now on the connection is the websocket's; its end is still told."""
        super().handle_websocket_upgrade()
        protocol: Any = self.transport.get_protocol()
        lost = protocol.connection_lost

        def gone(error: Exception | None) -> None:
            lost(error)
            self.gone()

        protocol.connection_lost = gone

    def overdue(self, now: float) -> bool:
        """Whether the client has kept us waiting for longer than a request may take (``now``: the loop's clock). While
        we do not read, or it waits for our "100 Continue", it is we who are late."""
        self._stuck = (self._stuck or now) if self.flow.write_paused else None
        if self._stuck is not None and now - self._stuck > STUCK_S:
            return True
        ours = self.flow.read_paused or (not self._in_head and self.cycle.waiting_for_100_continue)
        if self._since is not None and ours:
            self._since = now
        return self._since is not None and now - self._since > (HEAD_S if self._in_head else BODY_S)

    def give_up(self) -> None:
        """End the connection without a word."""
        self.transport.abort()


class Socket(WebSocketsSansIOProtocol):
    """A websocket."""

    async def send(self, message: Any) -> None:
        """What the app says. uvicorn takes one that refused for one that forgot to answer, and logs it as an error."""
        await super().send(message)
        if message["type"] == "websocket.http.response.body" and not message.get("more_body", False):
            self.handshake_complete = True


def sweep(connections: Iterable[asyncio.Protocol], now: float) -> None:
    """End those that keep us waiting."""
    for one in list(connections):
        if isinstance(one, Connection) and one.overdue(now):
            one.give_up()


def _nothing() -> None:
    pass
