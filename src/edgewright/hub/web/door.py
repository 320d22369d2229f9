"""Door: people's connections are taken one by one, and bounded in number before anything is spent on them.

Nobody needs a credential to connect. What one address or all of them hold, handshakes that do not go on included, must
neither take the memory of this process nor the descriptors that devices need.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
from collections import Counter
from collections.abc import Callable

from edgewright.hub.web.connections import Connection
from edgewright.hub.web.rates import network

MOST, MOST_EACH = 2000, 200
"""Connections at a time, and from one address (of IPv6: one network of 64 bits). Not from the loopback: a proxy there
speaks for many."""
HANDSHAKE_S = 10.0
_AGAIN_S = 1.0
_LOG = logging.getLogger("edgewright.hub")


class Door:
    """``run`` takes connections at ``listening`` (a bound socket) until it is cancelled. ``context``: for TLS, None for
    none."""

    def __init__(
        self, listening: socket.socket, make: Callable[[], Connection], context: ssl.SSLContext | None
    ) -> None:  # fmt: skip
        self._listening, self._make, self._context = listening, make, context
        self._held = Counter[str]()
        self._handshakes = set[asyncio.Task[None]]()

    async def run(self) -> None:
        """Take them. Those whose handshake goes on are given up at the end."""
        loop = asyncio.get_running_loop()
        self._listening.setblocking(False)
        try:
            while True:
                try:
                    taken, address = await loop.sock_accept(self._listening)
                except OSError as error:  # no descriptors left, say: said once a second, not in each turn
                    _LOG.warning("the people's listener takes no connection: %s", error)
                    await asyncio.sleep(_AGAIN_S)
                    continue
                host = network(str(address[0]))
                if self._held.total() >= MOST or (self._held[host] >= MOST_EACH and not _local(host)):
                    taken.close()
                else:
                    task = loop.create_task(self._let_in(taken, _Place(self._held, host)))
                    self._handshakes.add(task)
                    task.add_done_callback(self._handshakes.discard)
                await asyncio.sleep(0)  # a turn of the loop for all others
        finally:
            for task in self._handshakes:
                task.cancel()

    async def _let_in(self, taken: socket.socket, place: _Place) -> None:
        def make() -> Connection:
            made = self._make()
            made.gone = place.leave
            return made

        with contextlib.suppress(OSError):
            taken.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                make, taken, ssl=self._context, ssl_handshake_timeout=HANDSHAKE_S if self._context else None
            )
        except (OSError, asyncio.CancelledError):
            taken.close()  # it broke off, spoke no TLS, or took too long
            place.leave()


class _Place:
    """What one connection takes; it is given back once."""

    def __init__(self, held: Counter[str], host: str) -> None:
        self._held, self._host, self._left = held, host, False
        held[host] += 1

    def leave(self) -> None:
        if not self._left:
            self._left = True
            self._held[self._host] -= 1
            if not self._held[self._host]:
                del self._held[self._host]


def _local(host: str) -> bool:
    return host.startswith("127.") or host == "::/64"
