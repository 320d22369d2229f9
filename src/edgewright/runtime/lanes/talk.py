"""Talk: what is spoken with a client. HTTP, over TLS or without, and at a Unix socket frames, too."""

from __future__ import annotations

import socket
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import NoReturn, Protocol

from edgewright.runtime.faults import Crowded
from edgewright.runtime.lanes.frames import FrameConnection, Greeting
from edgewright.runtime.lanes.frames import Handler as FrameHandler
from edgewright.runtime.lanes.http import BadHead, Connection, Handler, Head, Heads
from edgewright.runtime.lanes.limits import Budget
from edgewright.runtime.lanes.loop import Loop
from edgewright.runtime.lanes.stream import Stream
from edgewright.runtime.lanes.tls import Certificate, TlsConnection


class Front(Protocol):
    """What answers."""

    def of(self, peer: str) -> Handler:
        """What answers the requests of a client at that address ("" at a Unix socket)."""
        ...

    @property
    def frame(self) -> FrameHandler:
        """What answers frames."""
        ...


class Log(Protocol):
    """Who is connected."""

    def add(self, stream: Stream, peer: str) -> None:
        """A client's conversation begins."""
        ...

    def forget(self, stream: Stream) -> None:
        """It has ended, or another stream goes on with it."""
        ...


@dataclass(frozen=True)
class Talk:
    """At one address. ``heads``: those that came before there; ``certificate``: for TLS."""

    loop: Loop
    budget: Budget
    front: Front
    heads: Heads
    certificate: Certificate | None = None
    frames: bool = False

    def begin(self, sock: socket.socket, peer: str, log: Log) -> None:
        """Speak with a client."""
        if not self.frames:
            self._http(peer, log, sock)
            return
        lanes = partial(self._http, peer, log), partial(self._frames, log)
        log.add(Greeting(sock, self.loop, lanes, self.budget.limits, self.budget, log.forget), peer)

    @cached_property
    def declining(self) -> Talk:
        """What is spoken there with clients for whom there is no room: each is told so, whatever it asks. What they
        hold is little, and is counted apart."""
        limits = replace(self.budget.limits, buffered_bytes=_DECLINED_BYTES)
        return replace(self, budget=Budget(limits), front=_Full(), heads=Heads(limits, _no_room))

    def _http(self, peer: str, log: Log, sock: socket.socket) -> Stream:
        rest = (self.loop, self.front.of(peer), self.heads, self.budget.limits, self.budget, log.forget)
        stream = Connection(sock, *rest) if self.certificate is None else TlsConnection(sock, self.certificate, *rest)
        log.add(stream, peer)
        return stream

    def _frames(self, log: Log, sock: socket.socket) -> Stream:
        stream = FrameConnection(sock, self.loop, self.front.frame, self.budget.limits, self.budget, log.forget)
        log.add(stream, "")
        return stream


_DECLINED_BYTES = 2**20
_NO_ROOM = "as many connections are open as the server, or your address, may have; close some, or ask again later"


def _no_room(head: Head) -> None:
    raise BadHead(Crowded.status, _NO_ROOM, b"Retry-After: %d\r\n" % Crowded.retry_s)


class _Full:
    """A Front that answers nobody."""

    def of(self, peer: str) -> Handler:
        """Never asked: heads are refused before."""
        return self.frame

    def frame(self, *asked: object) -> NoReturn:
        """Refuse a frame."""
        raise Crowded(_NO_ROOM)
