"""A stream: one client's socket on the loop, read as it comes and written as it goes."""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Callable
from typing import Any

from edgewright.runtime.lanes.loop import Loop


class Stream:
    """The lane's author writes ``_read`` (called when something came, with ``_receive`` to take it) and sets
    ``_waiting`` while an answer is owed, ``_ending`` when the next thing sent is the last."""

    def __init__(self, sock: socket.socket, loop: Loop, closed: Callable[[Any], None]) -> None:
        self._sock, self._loop, self._closed = sock, loop, closed
        self._in = bytearray()
        self._out: list[memoryview] = []
        self._waiting = self._ending = False
        self.since = time.monotonic()
        """When the request that is being read began, or the last one was answered."""
        sock.setblocking(False)
        loop.watch(sock, self)

    def _read(self) -> None:
        raise NotImplementedError

    def stale(self, now: float) -> bool:
        """Whether the client has kept us waiting for too long."""
        raise NotImplementedError

    def ready(self, events: int) -> None:
        """Called by the loop."""
        if events & (select.EPOLLERR | select.EPOLLHUP):
            self.close()
            return
        if events & select.EPOLLOUT:
            self._flush()
        if events & (select.EPOLLIN | select.EPOLLRDHUP):
            self._read()

    @property
    def busy(self) -> bool:
        """Whether an answer is owed or on its way."""
        return self._waiting or bool(self._out)

    def close(self) -> None:
        """End the connection. May be called twice."""
        if self._sock.fileno() >= 0:
            self._loop.forget(self._sock)
            self._sock.close()
            self._closed(self)

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
                    self.close()
                return
            self._out.append(memoryview(data)[sent:])
            self._loop.watch(self._sock, self, write=True)
        else:
            self._out.append(memoryview(data))

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
        if self._ending:
            self.close()
        else:
            self._loop.watch(self._sock, self)
