"""How long everybody else had to wait for the interpreter while something was done."""

from __future__ import annotations

import threading
import time
from types import TracebackType
from typing import Self

from edgewright.runtime.stats import Totals

_NAP_S = 0.0005


class Pause:
    """``with Pause(totals): ...`` notes the longest time a thread that wanted to run did not get to, on a machine with
    a core to spare: how much longer a nap took than it should. The shortest nap is 0.5 ms."""

    def __init__(self, totals: Totals) -> None:
        self._totals, self._longest_s = totals, 0.0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._nap, name="edgewright-pause", daemon=True)

    def _nap(self) -> None:
        over, begin = False, time.perf_counter()
        while not over:
            over = self._over.wait(_NAP_S)
            end = time.perf_counter()
            self._longest_s = max(self._longest_s, end - begin - _NAP_S)
            begin = end

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()
        self._totals.longest_pause_s = max(self._totals.longest_pause_s, self._longest_s)
