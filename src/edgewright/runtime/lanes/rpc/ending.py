"""The end of the lane, after which no call is told what is not so.

A server of grpcio's that stops tells calls which it has not handed over yet CANCELLED, as if their client had given up
(grpc/grpc issue 41785, open in 1.85). So whoever comes late is refused by ourselves first, with UNAVAILABLE, which
clients take for what it is; grpcio is stopped once calls are answered and nobody has come for a moment.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from edgewright.runtime.faults import NotReady

_LOOK_S, _QUIET_S, _MOST_S = 0.005, 0.05, 0.5
"""How often it is looked whether all is answered; for how long nobody must have come; and how long that is waited for,
beyond the last answer, at most: some clients never tire."""


class Ending:
    """``stop`` is the server's; ``owed`` tells whether answers are."""

    def __init__(self, stop: Callable[[float | None], threading.Event], owed: Callable[[], bool]) -> None:
        self._stop, self._owed = stop, owed
        self._hurry, self._over = threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None
        self._last = 0.0

    @property
    def begun(self) -> bool:
        """Whether nobody is let in any more."""
        return self._thread is not None

    @property
    def over(self) -> bool:
        """Whether nothing goes on any more."""
        return self._over.is_set()

    def check(self) -> None:
        """To be called for each that comes. Raises NotReady once the end has begun."""
        if self._thread is not None:
            self._last = time.monotonic()
            raise NotReady("the server is shutting down")

    def begin(self, grace_s: float) -> None:
        """Let nobody in any more, and end after so many seconds those that go on; returns at once."""
        if self._thread is None:
            self._last = time.monotonic()
            self._thread = threading.Thread(target=self._end, args=(self._last + grace_s,), name="edgewright-grpc-end")
            self._thread.start()

    def close(self) -> None:
        """End everything now; after ``begin``."""
        assert self._thread is not None  # noqa: S101 - as said
        self._hurry.set()
        self._stop(None)
        self._thread.join()

    def _end(self, until: float) -> None:
        quiet_by = until
        while (now := time.monotonic()) < min(until, quiet_by) and not self._hurry.is_set():
            if not self._owed():
                quiet_by = min(quiet_by, now + _MOST_S)
                if now > self._last + _QUIET_S:
                    break
            self._hurry.wait(_LOOK_S)
        self._stop(max(until - time.monotonic(), 0.0)).wait()
        self._over.set()
