"""Basin: a large body as it comes in, filled in place and never copied.

A bytearray that grows to 64 MiB is moved on its way, and a copy of it holds the interpreter for 20 to 140 ms: most of
that is the kernel, which hands out fresh memory page by page. Here pages are handed out as they are filled.
"""

from __future__ import annotations

import numpy as np


class Basin:
    """Room for ``most`` bytes, which take memory only once they are there."""

    def __init__(self, most: int) -> None:
        self._room = np.empty(most, np.uint8).data
        self.size = 0
        """Bytes that came."""

    @property
    def full(self) -> bool:
        """Whether there is no room left."""
        return self.size == len(self._room)

    def add(self, data: bytes | bytearray | memoryview) -> None:
        """Put ``data`` behind what is there, where it must have room."""
        self._room[self.size : self.size + len(data)] = data
        self.size += len(data)

    def pour(self, data: bytearray) -> None:
        """Take what there is room for out of ``data``."""
        taken = min(len(data), len(self._room) - self.size)
        self.add(memoryview(data)[:taken])
        del data[:taken]

    @property
    def body(self) -> memoryview:
        """What came."""
        return self._room[: self.size]
