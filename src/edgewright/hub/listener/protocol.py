"""Protocol: HTTP/1.1 of one device's connection, with the device's certificate."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, cast

from edgewright.core.errors import TrustError
from edgewright.hub.web.connections import Connection
from edgewright.trust.authority import Peer

if TYPE_CHECKING:
    from collections.abc import Callable

CONNECTION = "edgewright.connection"
"""Under this key the ASGI scope holds the request's ``DeviceProtocol``."""
WRITE_S = 60.0
"""How long a client may read nothing of an answer."""
_EMPTY_LINE = b"\r\n"
NOTHING = object()
"""What a parked poll is given when it ends without news."""


class DeviceProtocol(Connection):
    """``peer``: whose certificate was shown in the handshake, None for none; ``why``: what is wrong with it."""

    slow_bodies = False

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
        """An empty line came behind requests that are not being answered yet: the last of them does not wait either."""

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
        """Bytes of requests; what comes while the client is being answered tells that it has more to say."""
        waits = self._since is None
        if waits and self.cycle is not None and not self.cycle.response_complete:
            self._nudge()
        super().data_received(data)
        if waits and data == _EMPTY_LINE:
            self._since = None  # which is no request's beginning
        self._ended(data)

    def _ended(self, data: bytes) -> None:
        """An empty line may have come together with the request before it."""
        if self._since is None and self.cycle is not None and data.endswith(_EMPTY_LINE):
            body = self.cycle.body
            if body and not body.endswith(_EMPTY_LINE):
                self._nudge()
                self._behind = bool(self.pipeline)

    def on_message_begin(self) -> None:
        """The scope tells the app whose connection this is."""
        if self.cycle is not None and not self.cycle.response_complete:
            self._nudge()
        self._behind = False
        super().on_message_begin()
        cast("dict[str, Any]", self.scope)[CONNECTION] = self

    def on_response_complete(self) -> None:
        """The answer is written."""
        self.parked, self.nudged = None, self._behind and len(self.pipeline) == 1
        self._behind = self._behind and not self.nudged
        super().on_response_complete()

    def _nudge(self) -> None:
        self.nudged = self._behind = True
        if self.parked is not None and not self.parked.done():
            self.parked.set_result(NOTHING)

    @property
    def done(self) -> bool:
        """Whether nothing is being answered, and all that was written has gone out."""
        answered = self.cycle is None or self.cycle.response_complete
        return answered and not self.transport.get_write_buffer_size()
