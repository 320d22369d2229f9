"""Alarms: what is to be looked at when its time has come, if it is still there then."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from heapq import heapify, heappop, heappush
from itertools import count
from typing import Any
from weakref import ref

from edgewright.runtime import logs

_FEW = 1024
_LONGEST_S = 86400.0
"""A thread sleeps a day at most, then looks again: the system refuses to wait for what a client may ask."""


class Alarms:
    """Calls ``call`` with each thing at its time, on a thread that is started when it is first needed.

    Things are held weakly: one that nobody else holds any more is forgotten.
    """

    def __init__(self, call: Callable[[Any], None], clock: Callable[[], float] = time.perf_counter) -> None:
        self._call, self._clock, self._numbers = call, clock, count()
        self._news = threading.Condition()
        self._heap: list[tuple[float, int, ref[Any]]] = []
        self._thread: threading.Thread | None = None
        self._open, self._most = True, _FEW

    def at(self, when: float, thing: Any) -> None:
        """Call with ``thing`` at ``when``, in s on the clock."""
        with self._news:
            heappush(self._heap, (when, next(self._numbers), ref(thing)))
            if len(self._heap) > self._most:
                self._heap = [entry for entry in self._heap if entry[2]() is not None]
                heapify(self._heap)
                self._most = max(2 * len(self._heap), _FEW)
            if self._thread is None and self._open:
                self._thread = threading.Thread(target=self._work, name="edgewright-alarms", daemon=True)
                self._thread.start()
            elif self._heap[0][0] == when:
                self._news.notify()

    def close(self) -> None:
        """End the thread; nothing is called any more."""
        with self._news:
            self._open = False
            self._news.notify()
        if self._thread is not None:
            self._thread.join()

    def _work(self) -> None:
        while self._ring():
            pass

    def _ring(self) -> bool:
        """Wait for the next one and call with it; False when there will be no more."""
        with self._news:
            while self._open and (not self._heap or self._heap[0][0] > self._clock()):
                wait = min(max(self._heap[0][0] - self._clock(), 0.0), _LONGEST_S) if self._heap else None
                self._news.wait(wait)
            if not self._open:
                return False
            thing = heappop(self._heap)[2]()
        if thing is not None:
            try:
                self._call(thing)
            except Exception:  # noqa: BLE001 - the others are called, too
                logs.trouble("the alarms go on")
        return True
