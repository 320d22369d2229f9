"""Signals during a run: the first stops the search where it stands, the second ends at once."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any

_SOON_S = 0.02
"""By then Python has left what passed an exception over."""


class Interrupts:
    """Ctrl-C and SIGTERM as KeyboardInterrupt while the block lasts.

    Inside ``finishing`` (the result is being written) a first one is heard and nothing else: what is being written is
    what it asks for. Any further one raises. One that comes while an object is being finalized, where Python passes
    exceptions over, is raised after it.
    """

    def __init__(self) -> None:
        self.heard = 0
        self._finishing = False
        self._before: dict[int, Any] = {}
        self._ignored = sys.unraisablehook

    def __enter__(self) -> Interrupts:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._hear)
            self._ignored, sys.unraisablehook = sys.unraisablehook, self._again
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        if self._before:
            sys.unraisablehook = self._ignored

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

    def _again(self, told: sys.UnraisableHookArgs) -> None:
        if told.exc_type is KeyboardInterrupt:
            self.heard -= 1
            again = threading.Timer(_SOON_S, signal.pthread_kill, (threading.get_ident(), signal.SIGINT))
            again.daemon = True
            again.start()
        else:
            self._ignored(told)
