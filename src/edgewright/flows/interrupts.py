"""Signals during a run: the first stops the search where it stands, the second ends at once."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any


class Interrupts:
    """Ctrl-C and SIGTERM as KeyboardInterrupt while the block lasts.

    Inside ``finishing`` (the result is being written) a first one is heard and nothing else: what is being written is
    what it asks for. Any further one raises.
    """

    def __init__(self) -> None:
        self.heard = 0
        self._finishing = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Interrupts:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._hear)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @contextmanager
    def finishing(self) -> Iterator[None]:
        """While this lasts, the first signal waits until it is over."""
        self._finishing = True
        try:
            yield
        finally:
            self._finishing = False

    def _hear(self, _: int, __: FrameType | None) -> None:
        self.heard += 1
        if self.heard > 1 or not self._finishing:
            raise KeyboardInterrupt
