"""A stream: one client's socket on the loop, read as it comes and written as it goes."""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Callable
from typing import Any

from edgewright.runtime import logs
from edgewright.runtime.lanes.limits import Budget, Limits
from edgewright.runtime.lanes.loop import Loop

_LINGER_S = 2.0
"""How long a client that was refused in the middle of its request may take to read why."""

_QUIET_S, _LEAVE_S = 0.1, 0.5
"""When the server ends: how long a client that is between two requests is waited for, and how long one that was told of
the end may take to hang up, too. What it sends meanwhile is read: a reset would be the answer otherwise."""

SMALL = 64 * 1024
"""Bytes of a reply that always fits: most often the kernel takes it whole."""


GiveUp = Callable[[], object]
"""Takes a request out of the line, if it is still there: nobody waits for its answer any more."""


class Stream:
    """The lane's author writes ``_read`` (called when something came, with ``_receive`` to take it) and ``_take``
    (answers what lies in ``_in``, but not while ``held_up``), and sets ``_waiting`` while an answer is owed,
    ``_give_up`` to what it can be given up with,
    ``_ending`` when the next thing sent is the last, ``_lingering`` when the client may still be sending then."""

    def __init__(
        self, sock: socket.socket, loop: Loop, closed: Callable[[Any], None], limits: Limits, budget: Budget
    ) -> None:
        self._sock, self._loop, self._closed = sock, loop, closed
        self._limits, self._budget, self._held = limits, budget, 0
        self._lingering = self._going = self._draining = False
        self._until = 0.0
        """When the reply that is on its way must have been read."""
        self._in = bytearray()
        self._out: list[memoryview] = []
        self._waiting = self._ending = False
        self._give_up: GiveUp | None = None
        self.since = time.monotonic()
        """When the request that is being read began, or the last one was answered."""
        sock.setblocking(False)
        loop.watch(sock, self)

    def _read(self) -> None:
        raise NotImplementedError

    def _take(self) -> None:
        raise NotImplementedError

    def _asleep(self, now: float) -> bool:
        """Whether the client has kept us waiting for its next request for too long."""
        raise NotImplementedError

    def stale(self, now: float) -> bool:
        """Whether the client has kept us waiting for too long: with a request, or with reading a reply."""
        if self._waiting:
            return False
        if self._out:
            return now > self._until
        return now > self.since + _LINGER_S if self._lingering else self._asleep(now)

    @property
    def _between(self) -> bool:
        """Whether nothing of a request has come that is not answered."""
        return not self._waiting and not self._in and not self._out

    def drain(self, begun: float, now: float) -> None:
        """The server ends, since ``begun``: answer what has come, with the last answer say so, and hang up when the
        client has read it. To be called again and again, until the connection is closed."""
        self._draining = True
        if self._ending:
            if self._lingering and not self._out and now > self.since + _LEAVE_S:
                self.close()
        elif self._between and now > begun + _QUIET_S:
            self._read()
            if self._between and not self._ending and self._sock.fileno() >= 0:
                self._part()
                self._finish()

    def _part(self) -> None:
        """The next thing sent is the last, and the client need not know that yet."""
        self._ending = self._lingering = True
        self.since = time.monotonic()

    def _fits(self, size: int) -> bool:
        """Whether a reply of so many bytes may be begun: one that is begun is sent to its end."""
        if size <= SMALL:
            return True
        self._account()  # without the request that is answered
        if self._budget.fits(size):
            return True
        self._budget.refused[503] += 1
        return False

    def _go_on(self) -> None:
        if self._going:  # further up: a thousand small requests in one piece are a loop, not a recursion
            return
        self._going = True
        try:
            self._take()
        finally:
            self._going = False

    @property
    def held_up(self) -> bool:
        """Whether the next request must wait: for an answer, or for the client to read it."""
        return self._waiting or self._ending or bool(self._out)

    def _holds(self) -> int:
        """Bytes in buffers, and of the request that is being answered."""
        return len(self._in) + sum(map(len, self._out))

    def _account(self) -> bool:
        """Tell the budget what this connection holds. False when all of them hold too much."""
        if self._sock.fileno() < 0:
            return True
        held = self._holds()
        change, self._held = held - self._held, held
        return self._budget.change(change)

    def ready(self, events: int) -> None:
        """Called by the loop."""
        try:
            if events & (select.EPOLLERR | select.EPOLLHUP):
                self.close()
                return
            if events & select.EPOLLOUT:
                self._flush()
            if events & (select.EPOLLIN | select.EPOLLRDHUP):
                self._read()
        except Exception:  # noqa: BLE001 - a fault of ours must cost one client its connection, and nobody else anything
            logs.trouble("a connection was given up")
            self.close()

    def close(self) -> None:
        """End the connection. May be called twice."""
        if self._sock.fileno() >= 0:
            self._loop.forget(self._sock)
            self._sock.close()
            self._budget.change(-self._held)
            self._held = 0
            self._closed(self)
            if self._waiting and self._give_up is not None:
                self._give_up()

    def _receive(self, most: int) -> bytes:
        """What has come, or nothing; closes when the client did."""
        try:
            data = self._sock.recv(most)
        except BlockingIOError:
            return b""
        except OSError:
            data = b""
        if not data:
            self.close()
        return data

    def _send(self, data: bytes) -> None:
        if self._sock.fileno() < 0:
            return
        if not self._out:
            try:
                sent = self._sock.send(data)
            except BlockingIOError:
                sent = 0
            except OSError:
                self.close()
                return
            if sent == len(data):
                if self._ending:
                    self._finish()
                return
            self._out.append(memoryview(data)[sent:])
            self._until = self._limits.reply_until(time.monotonic(), len(data))
            self._loop.watch(self._sock, self, write=True)
        else:
            self._out.append(memoryview(data))
        self._account()  # it was asked whether it fits before its first byte

    def _finish(self) -> None:
        """End the connection after its last reply, which a client that is still sending must be able to read: closed
        at once, the kernel would answer the rest of its request with a reset, and the reply be lost."""
        if not self._lingering:
            self.close()
            return
        self.since = time.monotonic()
        try:
            self._sock.shutdown(socket.SHUT_WR)
        except OSError:
            self.close()

    def _flush(self) -> None:
        while self._out:
            try:
                sent = self._sock.send(self._out[0])
            except BlockingIOError:
                return
            except OSError:
                self.close()
                return
            if sent == len(self._out[0]):
                del self._out[0]
            else:
                self._out[0] = self._out[0][sent:]
        self._loop.watch(self._sock, self)
        self._account()
        if self._ending:
            self._finish()
        elif self._in:
            self._go_on()
            self._account()
