"""Connections: who is connected. Lets clients in, and sees off those for whom there is no room and those who stall.

Whoever comes when there is no room is told so in what it speaks, and that takes a connection, too. So only some are
told at a time, each for a moment, and all others are closed without a word: a crowd gains a few connections by it that
get no answer but this one.
"""

from __future__ import annotations

import socket
import time
from collections import Counter
from collections.abc import Iterator

from edgewright.runtime.addresses import network
from edgewright.runtime.lanes.limits import Limits
from edgewright.runtime.lanes.stream import Stream
from edgewright.runtime.lanes.talk import Talk

_TOLD, _TOLD_S = 32, 2.0
"""How many are told at a time that there is no room, and how long each may take, in s, to ask and to read it."""


class Connections:
    """``admitted`` and ``turned_away`` count clients."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._open: dict[Stream, str] = {}
        self._leaving = _Leaving()
        self._peers: Counter[str] = Counter()
        self.admitted = self.turned_away = 0

    def __len__(self) -> int:
        return len(self._open)

    def __iter__(self) -> Iterator[Stream]:
        return iter(list(self._open))

    def admit(self, talk: Talk, sock: socket.socket, peer: str) -> None:
        """Let a client in, if there is room."""
        limits, owner = self._limits, network(peer)
        if len(self._open) >= limits.connections or self._peers[owner] >= limits.connections_per_address:
            self.turned_away += 1
            if len(self._leaving) < _TOLD:
                talk.declining.begin(sock, peer, self._leaving)
            else:
                sock.close()
            return
        self.admitted += 1
        if peer:
            self._peers[owner] += 1
        talk.begin(sock, peer, self)

    def add(self, stream: Stream, peer: str) -> None:
        """A client's conversation begins."""
        self._open[stream] = network(peer)

    def forget(self, stream: Stream) -> None:
        """It has ended, or another stream goes on with it."""
        owner = self._open.pop(stream, "")
        if owner:
            self._peers[owner] -= 1
            if not self._peers[owner]:
                del self._peers[owner]

    def sweep(self, now: float) -> None:
        """Hang up on clients that keep others waiting."""
        for stream in self:
            if stream.stale(now):
                stream.expire()
        for stream, until in list(self._leaving.until.items()):
            if now > until:
                stream.close()

    def drain(self, begun: float, now: float) -> None:
        """As ``Stream.drain``: to be called again and again."""
        for stream in self:
            stream.drain(begun, now)

    def close(self) -> None:
        """Hang up on everybody."""
        for stream in [*self, *self._leaving.until]:
            stream.close()


class _Leaving:
    """Those for whom there was no room. ``until``: when they are not borne with any longer, by ``time.monotonic``."""

    def __init__(self) -> None:
        self.until: dict[Stream, float] = {}

    def __len__(self) -> int:
        return len(self.until)

    def add(self, stream: Stream, peer: str) -> None:
        """As the others' conversations."""
        self.until[stream] = time.monotonic() + _TOLD_S

    def forget(self, stream: Stream) -> None:
        """As the others'."""
        self.until.pop(stream, None)
