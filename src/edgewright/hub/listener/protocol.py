"""Protocol: HTTP/1.1 of one device's connection: uvicorn's, with the device's certificate and with an end to
patience."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from edgewright.core.errors import TrustError
from edgewright.trust.authority import Peer

if TYPE_CHECKING:
    from collections.abc import Callable

CONNECTION = "edgewright.connection"
"""Under this key the ASGI scope holds the request's ``DeviceProtocol``."""
HEAD_BYTES = 16 * 2**10
HEAD_S, BODY_S, WRITE_S = 15.0, 120.0, 60.0
"""How long a request's head may take (from the connection or the end of the last answer's pause on), its body, and how
long a client may read nothing of an answer."""
_EMPTY_LINE = b"\r\n"
NOTHING = object()
"""What a parked poll is given when it ends without news."""


class DeviceProtocol(HttpToolsProtocol):
    """``peer``: whose certificate was shown in the handshake, None for none; ``why``: what is wrong with it."""

    def __init__(self, authenticate: Callable[[bytes], Peer], *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._authenticate = authenticate
        self.peer: Peer | None = None
        self.why = ""
        self.said = 0
        """What the device said of itself in the last poll of this connection (``statuses.mark``)."""
        self.parked: asyncio.Future[Any] | None = None
        self.nudged = False
        """The client sent something while it was being answered: it has more to say, and a poll does not wait."""
        self._behind = False
        self._head_bytes = 0
        self._in_head = True
        self._since: float | None = self.loop.time()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """The handshake is over."""
        super().connection_made(transport)
        der = transport.get_extra_info("ssl_object").getpeercert(True)
        if der is not None:
            try:
                self.peer = self._authenticate(der)
            except TrustError as error:
                self.why = str(error)

    def connection_lost(self, exc: Exception | None) -> None:
        """A parked poll of a device that went away is given up."""
        super().connection_lost(exc)
        if self.parked is not None and not self.parked.done():
            self.parked.set_result(None)

    def data_received(self, data: bytes) -> None:
        """Bytes of requests; a head that does not end, ends the connection."""
        if self._since is None:
            answering = self.cycle is not None and not self.cycle.response_complete
            if answering:
                self._nudge()
            if not answering or data != _EMPTY_LINE:  # which then is no request's beginning
                self._since = self.loop.time()
        if self._in_head:
            self._head_bytes += len(data)
        super().data_received(data)
        if self._since is None and self.cycle is not None and data.endswith(_EMPTY_LINE):
            body = self.cycle.body
            if body and not body.endswith(_EMPTY_LINE):
                self._nudge()  # the empty line came together with the request
        if self._in_head and self._head_bytes > HEAD_BYTES:
            self.transport.abort()

    def on_message_begin(self) -> None:
        """The scope tells the app whose connection this is."""
        if self.cycle is not None and not self.cycle.response_complete:
            self._nudge()
        self._behind = False
        super().on_message_begin()
        cast("dict[str, Any]", self.scope)[CONNECTION] = self
        self._in_head, self._head_bytes = True, 0

    def on_headers_complete(self) -> None:
        """The head is there."""
        self._in_head = False
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """The whole request is there: from now on the client waits for us."""
        super().on_message_complete()
        self._since = None

    def on_response_complete(self) -> None:
        """The answer is written; the next request's head is not begun."""
        self.parked, self.nudged = None, self._behind and bool(self.pipeline)
        if self.cycle.response_complete:  # otherwise it is one behind it that is there already
            self._in_head, self._head_bytes = True, 0
        super().on_response_complete()

    def _nudge(self) -> None:
        self.nudged = self._behind = True
        if self.parked is not None and not self.parked.done():
            self.parked.set_result(NOTHING)

    def overdue(self, now: float) -> bool:
        """Whether the client has kept us waiting for longer than a request may take (``now``: the loop's clock)."""
        return self._since is not None and now - self._since > (HEAD_S if self._in_head else BODY_S)

    @property
    def done(self) -> bool:
        """Whether nothing is being answered, and all that was written has gone out."""
        answered = self.cycle is None or self.cycle.response_complete
        return answered and not self.transport.get_write_buffer_size()

    def give_up(self) -> None:
        """End the connection without a word."""
        self.transport.abort()
