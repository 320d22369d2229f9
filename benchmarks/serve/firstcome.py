"""The baseline for overload: Edgewright's lanes and sessions, but first come, first served.

Nobody is refused on arrival; what has expired by the time it is its turn is dropped. That is what a queue with a
time limit does in most servers.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import Any

from edgewright.runtime.faults import Expired


class FirstCome:
    """Stands in for the scheduler."""

    def __init__(self, *_: Any, **__: Any) -> None:
        self._line: deque[Any] = deque()
        self._work = threading.Condition()
        self._open = True
        self._thread = threading.Thread(target=self._execute, daemon=True)
        self._thread.start()

    def enter(self, model: Any, beside_s: float = 0.0) -> bool:
        return False

    def untried(self, *_: Any) -> bool:
        return False

    def submit(self, job: Any) -> None:
        with self._work:
            job.arrived = time.perf_counter()
            self._line.append(job)
            self._work.notify()

    def cancel(self, job: Any) -> bool:
        return False

    def retire(self, model: Any, timeout_s: float) -> bool:
        return True

    def idle(self) -> bool:
        return not self._line

    def close(self) -> None:
        with self._work:
            self._open = False
            self._work.notify()
        self._thread.join()

    def _execute(self) -> None:
        while True:
            with self._work:
                while self._open and not self._line:
                    self._work.wait()
                if not self._line:
                    return
                job = self._line.popleft()
            if job.deadline < time.perf_counter():
                job.done(None, Expired("its deadline passed while it waited"))
            else:
                job.model.run([job])
