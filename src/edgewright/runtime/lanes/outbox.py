"""Outbox: what a client has still to read."""

from __future__ import annotations

import socket
from collections import deque
from collections.abc import Iterable

Buffer = bytes | bytearray | memoryview
"""Bytes; a view is of bytes one by one, so that its length is their number."""


class Outbox:
    """Parts that are sent one after the other, and never copied. ``size``: bytes of them all."""

    __slots__ = ("_parts", "size")

    def __init__(self) -> None:
        self._parts, self.size = deque[memoryview](), 0

    def add(self, parts: Iterable[Buffer]) -> int:
        """Put these behind what is there; how many bytes they have."""
        before = self.size
        for part in parts:
            if len(part):
                self._parts.append(memoryview(part))
                self.size += len(part)
        return self.size - before

    def send(self, sock: socket.socket, most: int) -> None:
        """Send what the kernel takes, and no more than so many bytes. Raises OSError."""
        while self._parts and most > 0:
            first = self._parts[0]
            try:
                sent = sock.send(first[:most])
            except BlockingIOError:
                return
            if sent == len(first):
                self._parts.popleft()
            else:
                self._parts[0] = first[sent:]
            most -= sent
            self.size -= sent
