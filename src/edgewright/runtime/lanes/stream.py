"""A stream: one client's socket on the loop, read as it comes and written as it goes."""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Callable, Sequence
from typing import Any

from edgewright.runtime import logs
from edgewright.runtime.lanes.basin import Basin
from edgewright.runtime.lanes.limits import Budget, Limits
from edgewright.runtime.lanes.loop import Loop
from edgewright.runtime.lanes.outbox import Buffer, Outbox

_LINGER_S = 2.0
"""How long a client that was refused in the middle of its request may take to read why."""

_QUIET_S, _LEAVE_S = 0.1, 0.5
"""When the server ends: how long a client that is between two requests is waited for, and how long one that was told of
the end may take to hang up, too. What it sends meanwhile is read: a reset would be the answer otherwise."""

SMALL = 64 * 1024
"""Bytes of a reply that always fits: most often the kernel takes it whole. And of further requests that are read while
one is being answered."""
_TURN_S, _TURN = 0.001, 2**20
"""How long one client may be served at a time, in s and in bytes: then the others have their turn."""


Body = bytes | memoryview
"""Of a request; a view where a copy of it would be dear."""
GiveUp = Callable[[], object]
"""Takes a request out of the line, if it is still there: nobody waits for its answer any more."""


class Stream:
    """The lane's author writes ``_read`` (called when something came, with ``_receive`` to take it), ``_take``
    (answers the next request that lies in ``_in``; whether it went on) and ``_cut`` (the client has nothing more to
    say), and sets ``_waiting`` while an answer is owed, ``_give_up`` to what it can be given up with, ``_ending`` when
    the next thing sent is the last, ``_lingering`` when the client may still be sending then."""

    def __init__(
        self, sock: socket.socket, loop: Loop, closed: Callable[[Any], None], limits: Limits, budget: Budget
    ) -> None:
        self._sock, self._loop, self._closed = sock, loop, closed
        self._limits, self._budget, self._held = limits, budget, 0
        self._lingering = self._going = self._draining = False
        self._until = 0.0
        """When the reply that is on its way must have been read."""
        self._in = bytearray()
        self._basin: Basin | None = None
        """What came of a large request."""
        self._out = Outbox()
        self._waiting = self._ending = False
        self._size = 0
        """Bytes of the request that is being answered, where it was buffered."""
        self._give_up: GiveUp | None = None
        self._behind = self._deaf = False
        """``_behind``: it was this client's turn for long enough. ``_deaf``: nothing is read until others are."""
        self.since = time.monotonic()
        """When the request that is being read began, or the last one was answered."""
        sock.setblocking(False)
        loop.watch(sock, self)

    def _read(self) -> None:
        raise NotImplementedError

    def _take(self) -> bool:
        raise NotImplementedError

    def _cut(self) -> None:
        self.close()

    def expire(self) -> None:
        """End the connection of a client that is ``stale``, saying why where it can still be told."""
        self.close()

    def _asleep(self, now: float) -> bool:
        """Whether the client has kept us waiting for its next request for too long."""
        raise NotImplementedError

    def stale(self, now: float) -> bool:
        """Whether the client has kept us waiting for too long: with a request, or with reading a reply."""
        if self._waiting or self._behind:
            self.since = now  # it is our turn
            return False
        if self._out.size:
            return now > self._until
        return now > self.since + _LINGER_S if self._lingering else self._asleep(now)

    @property
    def _between(self) -> bool:
        """Whether nothing of a request has come that is not answered."""
        return not self._waiting and not self._in and not self._out.size and self._basin is None

    def drain(self, begun: float, now: float) -> None:
        """The server ends, since ``begun``: answer what has come, with the last answer say so, and hang up when the
        client has read it. To be called again and again, until the connection is closed."""
        self._draining = True
        if self._ending:
            if self._lingering and not self._out.size and now > self.since + _LEAVE_S:
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
        self._going, end = True, time.monotonic() + _TURN_S
        try:
            while not self.held_up and self._sock.fileno() >= 0 and self._take():
                self.since = time.monotonic()
                if self._in and self.since > end:
                    self._behind = True
                    self._loop.call(self._go_on_later)
        finally:
            self._going = False
        if self._deaf and not self.held_up:
            self._listen()

    def _go_on_later(self) -> None:
        self._behind = False
        if self._sock.fileno() >= 0:
            self._safely(self._go_on)
            self._account()

    @property
    def held_up(self) -> bool:
        """Whether the next request must wait: for an answer, for the client to read it, or for other clients."""
        return self._waiting or self._ending or self._behind or self._out.size > 0

    def _keep(self, data: bytes) -> None:
        """Keep what came while ``held_up``, and read no more than that."""
        self._in += data
        if len(self._in) > SMALL and not self._deaf:
            self._deaf = True
            self._loop.watch(self._sock, self, write=self._out.size > 0, read=False)
        self._account()

    def _whole(self, size: int) -> Body | None:
        """The first ``size`` bytes of what comes, when they are there: of large ones nothing is left in ``_in``."""
        if size > SMALL:
            if self._basin is None:
                self._basin = Basin(size)
            self._basin.pour(self._in)
            if not self._basin.full:
                return None
            body, self._basin = self._basin.body, None
            return body
        if len(self._in) < size:
            return None
        found = bytes(memoryview(self._in)[:size])
        del self._in[:size]
        return found

    def _listen(self) -> None:
        self._deaf = False
        if self._sock.fileno() >= 0:
            self._loop.watch(self._sock, self, write=self._out.size > 0)

    def _holds(self) -> int:
        """Bytes in buffers, and of the request that is being answered."""
        held = len(self._in) + self._out.size + (self._size if self._waiting else 0)
        return held if self._basin is None else held + self._basin.size

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
            if events & (select.EPOLLERR | select.EPOLLHUP) or (self._deaf and events & select.EPOLLRDHUP):
                self.close()
                return
            if events & select.EPOLLOUT:
                self._flush()
            if events & (select.EPOLLIN | select.EPOLLRDHUP):
                self._read()
        except Exception:  # noqa: BLE001 - a fault of ours must cost one client its connection, and nobody else anything
            self._fail()

    def _safely(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception:  # noqa: BLE001 - as above
            self._fail()

    def _fail(self) -> None:
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
        """What has come, or nothing; ends the connection when the client did."""
        try:
            data = self._sock.recv(most)
        except BlockingIOError:
            return b""
        except OSError:
            self.close()
            return b""
        if not data:
            self._cut()
        return data

    def _send(self, data: bytes) -> None:
        if self._sock.fileno() < 0:
            return
        if not self._out.size and len(data) <= _TURN:
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
            self._send_all([memoryview(data)[sent:]])
        else:
            self._send_all([data])

    def _send_all(self, parts: Sequence[Buffer]) -> None:
        """Send these one after the other, when the client takes them. They are not copied."""
        if self._sock.fileno() < 0:
            return
        first = not self._out.size
        size = self._out.add(parts)
        if first:
            self._until = self._limits.reply_until(time.monotonic(), size)
            self._loop.watch(self._sock, self, write=True, read=not self._deaf)
        self._account()  # it was asked whether it fits before its first byte

    def _finish(self) -> None:
        """End the connection after its last reply, which a client that is still sending must be able to read: closed
        at once, the kernel would answer the rest of its request with a reset, and the reply be lost."""
        if not self._lingering:
            self.close()
            return
        self.since = time.monotonic()
        if self._deaf:
            self._listen()
        try:
            self._sock.shutdown(socket.SHUT_WR)
        except OSError:
            self.close()

    def _flush(self) -> None:
        try:
            self._out.send(self._sock, _TURN)
        except OSError:
            self.close()
            return
        self._account()
        if self._out.size:
            return
        self._loop.watch(self._sock, self, read=not self._deaf)
        if self._ending:
            self._finish()
        elif self._in or self._deaf:
            self._go_on()
            self._account()
