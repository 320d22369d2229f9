"""Keeper: sees to it that there is a worker. A thread starts each one, waits for its end, and starts the next."""

from __future__ import annotations

import os
import select
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from numpy.typing import NDArray

from edgewright.core.errors import EdgewrightError, EngineError, NotAnswering
from edgewright.runtime import logs
from edgewright.runtime.isolation.order import Order
from edgewright.runtime.isolation.process import Facts, GoneError, LostError, Worker
from edgewright.runtime.isolation.restarts import Restarts

Arrays = Mapping[str, NDArray[Any]]
_now = time.monotonic
_SOON_S = 1.0


class Keeper:
    """``start`` first. ``reason`` says why there is no worker, "" when there is one; ``restarts`` counts."""

    def __init__(self, order: Order, restarts: Restarts, load_s: float, name: str = "") -> None:
        self.reason, self.restarts = "its process is being started", 0
        self._order, self._rule, self._load_s, self._name = order, restarts, load_s, name
        self._retry_after_s: float | None = load_s
        self._lock, self._calls = threading.Lock(), threading.Lock()
        self._ready: Worker | None = None
        self._current: Worker | None = None
        self._open = True
        self._first = threading.Event()
        self._facts: Facts | EdgewrightError | None = None
        self._wake = os.eventfd(0, os.EFD_CLOEXEC)
        self._thread = threading.Thread(target=self._keep, name="edgewright-keeper", daemon=True)

    @property
    def pid(self) -> int | None:
        """The worker's process id, or None while there is none."""
        worker = self._ready
        return worker.pid if worker is not None else None

    def start(self) -> Facts:
        """Start the first worker. Raises what keeps it from opening its model; then there is nothing to close."""
        self._thread.start()
        try:
            self._first.wait()
        except BaseException:  # Ctrl-C
            self.close()
            raise
        if not isinstance(self._facts, Facts):
            self.close()
            raise self._facts or EngineError("the session was closed while it opened")
        return self._facts

    def run(self, inputs: Arrays, limit_s: Callable[[], float]) -> dict[str, NDArray[Any]]:
        """Outputs by name. Raises EngineError; NotAnswering when there is no worker to ask."""
        with self._calls:
            worker = self._ready
            if worker is None:
                raise NotAnswering(f"the model does not answer: {self.reason}", self._retry_after_s)
            within_s = limit_s()
            try:
                return worker.run(inputs, within_s)
            except EdgewrightError:
                raise  # the worker is well
            except LostError as lost:
                self._ready, self.reason = None, "its process is being started again"
                worker.kill()
                worker.ended.wait()
                why = str(lost) or worker.how
                if isinstance(lost, GoneError):
                    said = f"the model's process was gone before it was asked: {why}; it is being started again"
                    raise NotAnswering(said, self._retry_after_s) from lost
                raise EngineError(f"the model's process was lost with this request: {why}") from lost
            except BaseException:  # its answer is still to come and would be taken for the next one's
                self._ready, self.reason = None, "its process is being started again"
                worker.kill()
                raise

    def kill(self) -> None:
        """End the worker, and with it the run that goes on; another one follows."""
        with self._lock:
            if self._current is not None:
                self._current.kill()

    def close(self) -> None:
        """End the worker and start no other. Returns when it is gone; may be called twice."""
        with self._lock:
            if not self._open:
                return
            self._open, self.reason = False, "the session is closed"
            self._retry_after_s = None
            os.eventfd_write(self._wake, 1)
            if self._current is not None:
                self._current.kill()
        self._thread.join()
        os.close(self._wake)

    def _keep(self) -> None:
        deaths: list[float] = []
        while True:
            why = self._one()
            if not why:
                return
            deaths.append(_now())
            del deaths[: -self._rule.most]
            delay = self._rule.delay_s(deaths, deaths[-1])
            with self._lock:
                if not self._open:
                    return
                if delay is None:
                    self._retry_after_s = None
                    self.reason = (
                        f"its process ended {len(deaths)} times within {self._rule.window_s:g} s and is not started "
                        f"again; the last time: {why}. Load the model again when that is mended"
                    )
                    self._log(logs.error, self.reason)
                    return
                self._retry_after_s = max(delay, _SOON_S)
                self.reason = f"its process is being started again: {why}"
                self.restarts += 1
            self._log(logs.warning, f"its process is gone: {why}; another is being started")
            if delay:
                self._sleep(delay)

    def _one(self) -> str:
        """The life of one worker: why it ended, or "" when the session was closed or never opened."""
        first = not self._first.is_set()
        try:
            with self._lock:
                if not self._open:
                    return ""
                worker = self._current = Worker(self._order)
        except (EdgewrightError, OSError) as error:
            return self._failed(EngineError(f"no process for the model can be started: {error}"), first)
        why = ""
        try:
            facts = worker.open(self._load_s)
            with self._lock:
                self._facts = self._facts or facts
                if self._open:
                    self.reason, self._ready, self._retry_after_s = "", worker, _SOON_S
            self._first.set()
            if self.restarts:
                self._log(logs.warning, "its process is back, and it answers again")
            self._watch(worker)
        except EdgewrightError as error:
            return self._failed(error, first)
        except LostError as lost:
            why = str(lost)
        finally:
            self._ready = None
            worker.kill()
            worker.wait()
            with self._lock:
                self._current = None
            with self._calls:  # nobody is in ``run`` any more
                worker.close()
        why = why or worker.how
        if not self._first.is_set():
            said = f"the model's process was lost while it opened the model: {why}"
            return self._failed(EngineError(said), first)
        return why

    def _log(self, say: Callable[..., None], text: str) -> None:
        say("worker", f"{self._name or 'a model'}: {text}", model=self._name)

    def _failed(self, error: EdgewrightError, first: bool) -> str:
        """What ``_one`` returns when no model was opened."""
        if not first:
            return str(error)
        self._facts = error
        self._first.set()
        return ""

    def _watch(self, worker: Worker) -> None:
        """Until the worker hangs up or the session is closed."""
        waiting = select.poll()
        waiting.register(worker, 0)  # hanging up is told without being asked for
        waiting.register(self._wake, select.POLLIN)
        waiting.poll()

    def _sleep(self, seconds: float) -> None:
        waiting = select.poll()
        waiting.register(self._wake, select.POLLIN)
        waiting.poll(seconds * 1000)
