"""Channel: whole messages between two processes over a socket pair, and descriptors with them.

Waking a process that sleeps on an idle core costs 50 us (measured here: a round trip of 57 us sleeping, 6 us looking).
So whoever's last wait was short looks for a while before it sleeps. Where the two must share a core, looking keeps the
other from its work: on a single CPU nobody looks, and who looked in vain sleeps at once the next times, twice as many
each time.
"""

from __future__ import annotations

import os
import select
import socket
import time

from edgewright.core.cpus import allowed_cpus
from edgewright.runtime.isolation.tensors import HEADER_BYTES

_LOOK_S = 0.0002
_FEWEST, _MOST = 4, 1024
_now = time.perf_counter


class ClosedError(Exception):
    """The other side is gone."""


class UnreadError(ClosedError):
    """The other side is gone, and had not read all that was sent to it."""


class SilentError(Exception):
    """Nothing came in time."""


class Channel:
    """One end. One thread at a time."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        sock.setblocking(True)
        waiting = select.poll()
        waiting.register(sock, select.POLLIN)
        self._poll, self._may_look = waiting.poll, len(allowed_cpus()) > 1
        self._buffer = bytearray(HEADER_BYTES)
        self._look, self._pause, self._left = False, 0, 0

    def fileno(self) -> int:
        """The socket's descriptor."""
        return self._sock.fileno()

    def send(self, message: bytes, *handles: int) -> None:
        """Send a message, with descriptors if there are any. Raises ClosedError."""
        try:
            if handles:
                socket.send_fds(self._sock, [message], handles)
            else:
                self._sock.send(message)
        except OSError as error:
            raise ClosedError from error

    def receive(self, within_s: float | None = None) -> bytes:
        """The next message. Raises ClosedError (UnreadError), SilentError after ``within_s`` (None: never)."""
        begin = _now()
        if not (self._look and self._looked(begin + _LOOK_S)) and not self._poll(
            None if within_s is None else max(within_s * 1000, 0.0)
        ):
            raise SilentError
        if self._left:
            self._left -= 1
        else:
            self._look = self._may_look and _now() - begin < _LOOK_S
        try:
            count = self._sock.recv_into(self._buffer)
        except ConnectionResetError as error:
            raise UnreadError from error
        except OSError as error:
            raise ClosedError from error
        if not count:
            raise ClosedError
        return bytes(memoryview(self._buffer)[:count])

    def receive_handle(self) -> int:
        """The descriptor that comes with the next message. Raises ClosedError."""
        try:
            message, handles, _, _ = socket.recv_fds(self._sock, 16, 1)
        except OSError as error:
            raise ClosedError from error
        if not message or not handles:
            raise ClosedError
        os.set_inheritable(handles[0], False)
        return handles[0]

    def close(self) -> None:
        """Give the socket back."""
        self._sock.close()

    def _looked(self, until: float) -> bool:
        while not self._poll(0):
            if _now() > until:
                self._pause = self._left = min(max(2 * self._pause, _FEWEST), _MOST)
                self._look = False
                return False
            os.sched_yield()  # the other side may want this very core
        self._pause //= 2
        return True


def channels() -> tuple[Channel, socket.socket]:
    """Our end, and the other's to hand over."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    return Channel(ours), theirs
