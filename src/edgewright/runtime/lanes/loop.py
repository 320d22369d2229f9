"""One thread, one epoll: sockets that are ready, calls from other threads, and timers. Nothing else is on the path."""

from __future__ import annotations

import heapq
import os
import select
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from itertools import count
from typing import Protocol

from edgewright.runtime import logs

_EVENTS = 64
_GONE, _READ, _WRITE = select.EPOLLRDHUP, select.EPOLLIN | select.EPOLLRDHUP, select.EPOLLOUT


class Endpoint(Protocol):
    """What the loop calls."""

    def ready(self, events: int) -> None:
        """Something can be read, written, or has gone wrong."""
        ...


class Spin:
    """Looks again for a moment before sleeping, where that has been worth it.

    Waking an idle core costs 40-60 us; a client that answers within some tens of us is caught awake instead. How long
    to look is learnt: it grows with each catch, and falls to nothing where nothing comes, or where the client shares
    this core and cannot run meanwhile. Then it is tried again now and then. Whoever else wanted this core, and got it
    for longer than was to be looked, was in the way: what came meanwhile is no catch, asleep it would have woken us.
    """

    _MOST_S, _LEAST_S, _AGAIN = 100e-6, 5e-6, 256

    def __init__(self) -> None:
        self._span = self._LEAST_S
        self._asleep = 0

    def poll(self, epoll: select.epoll, calls: deque[Callable[[], None]]) -> list[tuple[int, int]]:
        """What came while looking; nothing when it is time to sleep."""
        if not self._span:
            self._asleep += 1
            if self._asleep < self._AGAIN:
                return []
            self._asleep, self._span = 0, 4 * self._LEAST_S
        found = epoll.poll(0.0, _EVENTS)
        if found or calls:
            return found
        end = time.perf_counter() + self._span
        while True:
            os.sched_yield()
            found = epoll.poll(0.0, _EVENTS)
            if time.perf_counter() > end:
                self._span = self._span / 2 if self._span > self._LEAST_S else 0.0
                return found
            if found or calls:
                self._span = min(2 * self._span, self._MOST_S)
                return found


class Loop:
    """Runs until ``stop``. ``call`` and ``stop`` may be called from any thread, everything else from the loop's own.

    Once the loop has ended they do nothing: whoever comes late needs no answer from a loop that is gone.
    """

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._ends: dict[int, Endpoint] = {}
        self._calls: deque[Callable[[], None]] = deque()
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = count()
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._rousing = threading.RLock()  # a signal handler may come to whoever holds it
        self._epoll.register(self._wake, select.EPOLLIN)
        self._open, self._sleeping = True, False
        self.found = 0
        """How many ends were ready in the look that is being answered."""
        self.looked = 0.0
        """When that was (time.perf_counter); what is read now had come by then."""

    def watch(self, sock: socket.socket, end: Endpoint, write: bool = False, read: bool = True) -> None:
        """Call ``end.ready`` when ``sock`` can be read (if ``read``), written (if ``write``), or its client hung up."""
        known = sock.fileno() in self._ends
        self._ends[sock.fileno()] = end
        events = (_READ if read else _GONE) | (_WRITE if write else 0)
        (self._epoll.modify if known else self._epoll.register)(sock.fileno(), events)

    def forget(self, sock: socket.socket) -> None:
        """Stop watching ``sock``, which is still open."""
        if self._ends.pop(sock.fileno(), None) is not None:
            self._epoll.unregister(sock.fileno())

    def call(self, function: Callable[[], None]) -> None:
        """Run ``function`` soon on the loop's thread; from any thread."""
        self._calls.append(function)
        if self._sleeping:  # a signal handler's call, too: it comes between two of the loop's own instructions
            self._rouse()

    def later(self, delay_s: float, function: Callable[[], None]) -> None:
        """Run ``function`` after a while."""
        heapq.heappush(self._timers, (time.monotonic() + delay_s, next(self._numbers), function))

    def stop(self) -> None:
        """End ``run`` after what is going on; from any thread."""
        self._open = False
        self._rouse()

    def run(self) -> None:
        """Serve until stopped; everything registered is left as it is."""
        epoll, ends, calls, timers = self._epoll, self._ends, self._calls, self._timers
        spin = Spin()
        while self._open:
            timeout = -1.0
            if timers:
                timeout = max(timers[0][0] - time.monotonic(), 0.0)
            found = spin.poll(epoll, calls) if timeout and not calls else []
            if not found:
                self._sleeping = timeout != 0
                # One may have come between the look and the flag.
                found = epoll.poll(0.0 if calls else timeout, _EVENTS)
                self._sleeping = False
            self.found, self.looked = len(found), time.perf_counter()
            for fd, events in found:
                end = ends.get(fd)
                if end is not None:
                    try:
                        end.ready(events)
                    except Exception:  # noqa: BLE001 - whoever is at fault, the others are served
                        logs.trouble("the loop goes on")
                elif fd == self._wake:
                    os.eventfd_read(self._wake)
            try:
                for _ in range(len(calls)):  # those that they call have their turn after the sockets
                    calls.popleft()()
                while timers and timers[0][0] <= time.monotonic():
                    heapq.heappop(timers)[2]()
            except Exception:  # noqa: BLE001 - as above
                logs.trouble("the loop goes on")

    def close(self) -> None:
        """Give back what the loop holds; the sockets are their owners'. May be called twice."""
        self._epoll.close()
        self._calls.clear()
        with self._rousing:
            wake, self._wake = self._wake, -1
            if wake >= 0:
                os.close(wake)

    def _rouse(self) -> None:
        with self._rousing:  # closed meanwhile, its number may be somebody else's
            if self._wake >= 0:
                os.eventfd_write(self._wake, 1)
