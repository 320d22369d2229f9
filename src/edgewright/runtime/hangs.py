"""Hangs: a run that does not end is ended, so that those who wait behind it are answered.

Models may hold loops, and what a client sends may keep one turning for ever, on the very thread that reads requests.
An engine that lets itself be interrupted (ONNX Runtime, between two operators) is, once a run takes longer than any
honest one would; of one that does not (OpenVINO) it is told. Models in processes of their own have a rule of their own
(``isolation.restarts``).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from weakref import WeakKeyDictionary

from edgewright.runtime import logs
from edgewright.runtime.served import Served

_LOOK_S = 0.5
_LEAST_S, _FIRST_S, _LONGER = 10.0, 60.0, 100.0


def patience_s(usual_s: float | None, rows: int) -> float:
    """How long a run of so many rows may take, in s: a hundred times what one usually takes for each row, and 10 s at
    least, since the machine may be busy; 60 s when none has been seen yet (None)."""
    return _FIRST_S if usual_s is None else max(_LONGER * usual_s * max(rows, 1), _LEAST_S)


class Hangs:
    """``models``: those that are open. ``start`` begins to look at them now and then, on a thread."""

    def __init__(self, models: Callable[[], Iterable[Served]]) -> None:
        self._models, self._over, self._ending = models, threading.Event(), False
        self._told: WeakKeyDictionary[Served, float] = WeakKeyDictionary()
        """When the run began that was told of last."""
        self._thread = threading.Thread(target=self._work, name="edgewright-hangs", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def look(self, now: float) -> None:
        """End the runs that have gone on for too long at ``now``, on ``time.perf_counter``."""
        for served in self._models():
            run = served.at_work
            if run is None:
                continue
            begin, inputs = run
            rows = max((len(array) for array in inputs.values() if getattr(array, "ndim", 0)), default=1)
            limit_s = patience_s(served.times.usual() if served.times.learned else None, rows)
            if self._ending or now - begin > limit_s:
                self._end(served, begin, now - begin)

    def _end(self, served: Served, begin: float, took_s: float) -> None:
        name, engine = served.source.name, served.source.engine
        if served.interrupt():
            logs.error("hang", f"a run of {name} was ended after {took_s:.3g} s", model=name)
        elif not served.interruptible and not self._ending and self._told.get(served) != begin:
            self._told[served] = begin
            served.hangs += 1
            logs.error(
                "hang",
                f"a run of {name} has gone on for {took_s:.3g} s, and {engine} does not let it be ended: those behind "
                f"it wait. isolated = true in [models.{name!r}] gives it a process that can be",
                model=name,
            )

    def end_all(self) -> None:
        """End all runs that go on, and whatever begins from now on: the server must."""
        self._ending = True
        self.look(time.perf_counter())

    def close(self) -> None:
        """Look no more."""
        self._over.set()
        if self._thread.is_alive():
            self._thread.join()

    def _work(self) -> None:
        while not self._over.wait(_LOOK_S):
            try:
                self.look(time.perf_counter())
            except Exception:  # noqa: BLE001 - without this thread no run would ever be ended again
                logs.trouble("runs could not be looked at")
