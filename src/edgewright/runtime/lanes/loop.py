"""One thread, one epoll: sockets that are ready, calls from other threads, and timers. Nothing else is on the path."""

from __future__ import annotations

import heapq
import os
import select
import socket
import time
from collections import deque
from collections.abc import Callable
from itertools import count
from typing import Protocol

_READ, _WRITE = select.EPOLLIN | select.EPOLLRDHUP, select.EPOLLOUT


class Endpoint(Protocol):
    """What the loop calls."""

    def ready(self, events: int) -> None:
        """Something can be read, written, or has gone wrong."""
        ...


class Loop:
    """Runs until ``stop``. ``call`` and ``stop`` may be called from any thread, everything else from the loop's own."""

    def __init__(self, spin_s: float = 0.0) -> None:
        self._epoll = select.epoll()
        self._ends: dict[int, Endpoint] = {}
        self._calls: deque[Callable[[], None]] = deque()
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = count()
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._epoll.register(self._wake, select.EPOLLIN)
        self._open, self._sleeping, self._spin = True, False, spin_s

    def watch(self, sock: socket.socket, end: Endpoint, write: bool = False) -> None:
        """Call ``end.ready`` when ``sock`` can be read (and written, if ``write``)."""
        known = sock.fileno() in self._ends
        self._ends[sock.fileno()] = end
        (self._epoll.modify if known else self._epoll.register)(sock.fileno(), _READ | (_WRITE if write else 0))

    def forget(self, sock: socket.socket) -> None:
        """Stop watching ``sock``, which is still open."""
        if self._ends.pop(sock.fileno(), None) is not None:
            self._epoll.unregister(sock.fileno())

    def call(self, function: Callable[[], None]) -> None:
        """Run ``function`` soon on the loop's thread; from any thread."""
        self._calls.append(function)
        if self._sleeping:  # a signal handler's call, too: it comes between two of the loop's own instructions
            os.eventfd_write(self._wake, 1)

    def later(self, delay_s: float, function: Callable[[], None]) -> None:
        """Run ``function`` after a while."""
        heapq.heappush(self._timers, (time.monotonic() + delay_s, next(self._numbers), function))

    def stop(self) -> None:
        """End ``run`` after what is going on; from any thread."""
        self._open = False
        os.eventfd_write(self._wake, 1)

    def run(self) -> None:
        """Serve until stopped; everything registered is left as it is."""
        epoll, ends, calls, timers = self._epoll, self._ends, self._calls, self._timers
        busy_until = 0.0
        while self._open:
            timeout = -1.0
            if timers:
                timeout = max(timers[0][0] - time.monotonic(), 0.0)
            if calls or time.perf_counter() < busy_until:
                timeout = 0.0
            self._sleeping = timeout != 0
            if calls:  # one may have come between the look and the flag
                timeout = 0.0
            found = epoll.poll(timeout)
            self._sleeping = False
            for fd, events in found:
                end = ends.get(fd)
                if end is not None:
                    end.ready(events)
                elif fd == self._wake:
                    os.eventfd_read(self._wake)
            if found and self._spin:
                busy_until = time.perf_counter() + self._spin
            while calls:
                calls.popleft()()
            while timers and timers[0][0] <= time.monotonic():
                heapq.heappop(timers)[2]()

    def close(self) -> None:
        """Give back what the loop holds; the sockets are their owners'."""
        self._epoll.close()
        os.close(self._wake)
