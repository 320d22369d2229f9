"""Calls that go on: until when each client has something to do, and what is held for it in memory."""

from __future__ import annotations

import threading
import time
from typing import Any

from edgewright.runtime.faults import Crowded
from edgewright.runtime.lanes.limits import Budget
from edgewright.runtime.lanes.stream import SMALL
from edgewright.runtime.scheduling.line import NEVER


class Call:
    """One call. ``until``: when its client has to have done what is its turn (``NEVER``: it is ours)."""

    def __init__(self, context: Any, budget: Budget) -> None:
        self.context, self.until = context, NEVER
        self._budget, self._lock = budget, threading.Lock()
        self._held, self._over = 0, False

    def asked(self, size: int) -> None:
        """A request of so many bytes has come: it is held until ``free``. Raises Crowded."""
        if not self._hold(size):
            raise Crowded("all connections together hold as much as they may; ask again later")

    def answered(self, size: int) -> None:
        """A reply of so many bytes goes: it is held until ``free``, or the end of the call, and the client has to read
        it in time. Raises Crowded before its first byte."""
        if not self._hold(size):
            self._budget.refuse("a reply over gRPC")
            fault = Crowded(self._budget.too_large(size))
            fault.counted = True  # its model has answered
            raise fault
        self.hurry(size)

    def hurry(self, size: int = 0) -> None:
        """The client has to read so many bytes from now on."""
        self.until = self._budget.limits.reply_until(time.monotonic(), size)

    def free(self, size: int) -> None:
        """So many bytes are not held any more."""
        with self._lock:
            if size > SMALL and not self._over:
                self._held -= size
                self._budget.change(-size)

    def end(self) -> None:
        """The call is over: nothing is held for it."""
        with self._lock:
            self._over = True
            self._budget.change(-self._held)
            self._held = 0

    def _hold(self, size: int) -> bool:
        with self._lock:
            if size <= SMALL or self._over:  # small ones always fit, as on the other lanes
                return True
            if not self._budget.change(size):
                self._budget.change(-size)
                return False
            self._held += size
            return True
