"""Supervise: the runtime is up and answers, and is started again when it is not, less often if it keeps ending."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Protocol

from edgewright.agent.runtime import Backoff
from edgewright.core.errors import EdgewrightError

_EVERY_S, _DEAF = 1.0, 5
"""How often it is looked, and looks in a row without an answer after which the process is taken to hang."""
_log = logging.getLogger("edgewright.agent")


class Watched(Protocol):
    """The part of ``runtime.Runtime`` that matters here."""

    lock: threading.RLock

    @property
    def alive(self) -> bool:
        """Whether its process runs."""
        ...

    def answers(self) -> bool:
        """Whether it says that it is up."""
        ...

    def restart(self) -> None:
        """Start it anew. Raises EdgewrightError."""
        ...


class Supervisor:
    """Looks after ``runtime`` while ``wanted`` says that there is something to serve, on a thread of its own between
    ``start`` and ``close``; ``look`` is one look, for tests."""

    def __init__(
        self, runtime: Watched, wanted: Callable[[], bool], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._runtime, self._wanted, self._clock = runtime, wanted, clock
        self._backoff, self._deaf = Backoff(), 0
        self._since: float | None = clock()
        self._due: float | None = None
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="edgewright-supervisor", daemon=True)

    def start(self) -> None:
        """Look from now on."""
        self._thread.start()

    def close(self) -> None:
        """Look no more."""
        self._over.set()
        if self._thread.is_alive():
            self._thread.join()

    def look(self) -> None:
        """Once: note how it is, and start it when it is time to."""
        if not self._wanted() or not self._runtime.lock.acquire(blocking=False):
            return  # somebody reloads it just now, and sees for himself whether it answers
        try:
            if self._runtime.alive:
                self._deaf = 0 if self._runtime.answers() else self._deaf + 1
                if self._deaf < _DEAF:
                    return
                _log.warning("the runtime has not answered %d times: it is started anew", self._deaf)
            self._ended(self._clock())
        finally:
            self._runtime.lock.release()

    def _ended(self, now: float) -> None:
        """It does not serve: start it when that is due."""
        if self._due is None:
            self._backoff = self._backoff.after(0.0 if self._since is None else now - self._since)
            self._due = now + self._backoff.wait_s
        if now < self._due:
            return
        self._due, self._deaf = None, 0
        try:
            self._runtime.restart()
        except EdgewrightError as error:
            _log.warning("%s", error)
            self._since = None
        else:
            self._since = self._clock()

    def _run(self) -> None:
        while not self._over.wait(_EVERY_S):
            try:
                self.look()
            except Exception:  # noqa: BLE001 - a fault here must not leave the device alone
                _log.exception("the supervisor has a fault")
