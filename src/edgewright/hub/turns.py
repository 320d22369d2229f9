"""Turns: work that takes long, some of it at once in one process. Whoever waits for a turn holds one of the threads
that all requests share: so few may wait, and of one tenant fewer; the others are told to come again."""

from __future__ import annotations

import contextlib
import threading
from collections import Counter
from collections.abc import Iterator

from edgewright.core.errors import Unavailable
from edgewright.hub.errors import TooMany

_WAIT_S, _RETRY_S = 240.0, 10.0


class Turns:
    """``at_once`` have one, ``waiting`` more may wait; ``of_one`` tenant at most so many of both."""

    def __init__(self, at_once: int, waiting: int, of_one: int) -> None:
        self._most, self._of_one = at_once + waiting, of_one
        self._free = threading.BoundedSemaphore(at_once)
        self._now = Counter[str]()
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def turn(self, tenant: str, busy: str) -> Iterator[None]:
        """Raises TooMany where the tenant has its part, else Unavailable, saying that the process is ``busy``."""
        refused = Unavailable(f"{busy}; try again in a moment")
        with self._lock:
            if self._now[tenant] >= self._of_one:
                raise TooMany(f"{self._of_one} such requests of yours go on already; wait for one to end", _RETRY_S)
            if self._now.total() >= self._most:
                raise refused
            self._now[tenant] += 1
        try:
            if not self._free.acquire(timeout=_WAIT_S):
                raise refused
            try:
                yield
            finally:
                self._free.release()
        finally:
            with self._lock:
                self._now[tenant] -= 1
                self._now += Counter()  # forgets those at zero
