"""The desk: where requests of all lanes come in, and where what becomes of them is counted."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edgewright.core.errors import EdgewrightError
from edgewright.runtime.faults import BadRequest, Expired, Fault, Gone, Infeasible
from edgewright.runtime.scheduling.batches import key, rows
from edgewright.runtime.scheduling.line import NEVER
from edgewright.runtime.scheduling.scheduler import Done, Job, Scheduler
from edgewright.runtime.served import Served

if TYPE_CHECKING:
    from edgewright.runtime.cache import Cache
    from edgewright.runtime.experiments.shadow import Shadows
    from edgewright.runtime.labels import Labels

Arrays = Mapping[str, NDArray[Any]]
GiveUp = Callable[[], bool]
"""Takes a request out of the line, from any thread: it is told ``Cancelled``. False when it runs already or is done."""
_now = time.perf_counter
_COUNTING = threading.Lock()
"""A Counter's first of a kind is counted by Python code, in the middle of which another thread may be switched to."""


class Desk:
    """Hands requests to the scheduler, or runs them at once where nobody waits."""

    cache: Cache | None = None
    """What keeps answers, and what preprocessing makes of images, where that is on."""
    shadows: Shadows | None = None
    """What asks other versions as well, where that can be."""
    labels: Labels | None = None
    """What remembers the classes that were answered to requests with an id: lanes hand it those."""

    @property
    def plain(self) -> bool:
        """Whether a request may be answered without this desk seeing it (``company``); others look at each."""
        return type(self) is Desk

    def __init__(self, scheduler: Scheduler) -> None:
        self.scheduler = scheduler
        self.strays: Counter[str] = Counter()
        """Requests by kind of fault that reached no model: not understood, or for one that is not there."""

    def at_once(self, served: Served, inputs: Arrays, timeout_s: float | None = None) -> Arrays | None:
        """The outputs, run in this thread, or None when somebody waits or runs: then ``later`` or ``wait``.

        Raises a Fault, counted.
        """
        begin = 0.0
        if timeout_s is None:
            timeout_s = served.deadline_s
        beside_s = 0.0 if served.pipeline is None else served.pipeline.expected_s(inputs)
        if served.varied:
            beside_s += served.more_s(inputs)
        if timeout_s is not None:
            takes_s = served.times.usual_s + beside_s
            if takes_s > timeout_s:
                if self.scheduler.untried(served, takes_s, timeout_s):
                    return None
                raise self.count(served, too_short(served, timeout_s, beside_s))
            begin = _now()
        if not self.scheduler.enter(served, beside_s):
            return None
        try:
            outputs = served.infer(inputs)
        except Fault as fault:
            raise self.count(served, fault) from fault.__cause__
        finally:
            self.scheduler.leave(served)
        if timeout_s is not None and _now() - begin > timeout_s:
            self.late(served)
        return outputs

    def later(
        self, served: Served, inputs: Arrays, done: Done, timeout_s: float | None = None, priority: int = 0
    ) -> GiveUp:
        """Take a place in line, and what gives it up. Raises the Fault for which it was not let in.

        ``timeout_s`` None and ``priority`` 0 are what the model's configuration says.
        """
        job = self.job(served, inputs, done, timeout_s, priority)
        try:
            placed = self._submit(served, job)
        except Fault as fault:
            raise self.count(served, fault) from None
        return partial(self.scheduler.cancel, placed)

    def job(self, served: Served, inputs: Arrays, done: Done, timeout_s: float | None = None, priority: int = 0) -> Job:
        """As ``later``, but in no line yet: it counts what becomes of it once it is there."""
        if timeout_s is None:
            timeout_s = served.deadline_s
        deadline = NEVER if timeout_s is None else _now() + timeout_s

        def counted(outputs: Any, fault: Fault | None) -> None:
            if fault is not None:
                self.count(served, fault)
            elif _now() > deadline:
                self.late(served)
            done(outputs, fault)

        return Job(served, inputs, counted, deadline, priority or served.priority, arrived=_now())

    def _submit(self, served: Served, job: Job) -> Job:
        inputs = job.inputs
        if served.most_rows > 1:
            if not all(isinstance(array, np.ndarray) for array in inputs.values()):
                raise BadRequest("inputs must be numpy arrays; use numpy.asarray")
            job.rows, job.key = rows(inputs), key(inputs)
        if served.pipeline is not None:
            job.beside_s = served.pipeline.expected_s(inputs)
        if not job.rows:
            job.beside_s += served.more_s(inputs)
        self.scheduler.submit(job)
        return job

    def wait(self, served: Served, inputs: Arrays, timeout_s: float | None = None, priority: int = 0) -> Arrays:
        """The outputs, when it is this request's turn. Raises a Fault."""
        outputs = self.at_once(served, inputs, timeout_s)
        if outputs is not None:
            return outputs
        over = threading.Event()
        answer: list[Any] = []

        def done(outputs: Any, fault: Fault | None) -> None:
            answer.extend((outputs, fault))
            over.set()

        give_up = self.later(served, inputs, done, timeout_s, priority)
        try:
            over.wait()
        except BaseException:  # Ctrl-C
            give_up()
            raise
        if answer[1] is not None:
            raise answer[1]
        found: Arrays = answer[0]
        return found

    def remember(self, served: Served, id: str, outputs: Arrays) -> None:
        """Labels may come for what was answered to the request ``id``."""
        if self.labels is not None:
            self.labels.keep(served, id, outputs)

    def retire(self, served: Served, timeout_s: float) -> bool:
        """As ``Scheduler.retire``; nothing of this version is kept from then on."""
        return self.scheduler.retire(served, timeout_s)

    def report(self) -> dict[str, Any]:
        """What is told of it beside the models' own statistics, as a JSON value."""
        return {}

    def close(self) -> None:
        """Finish what waits, and let nobody in any more."""
        self.scheduler.close()

    def stray(self, error: EdgewrightError) -> None:
        """Count a request that is told of this, unless its model's statistics have it already."""
        if not getattr(error, "counted", False):
            with _COUNTING:
                self.strays[error.kind if isinstance(error, Fault) else Fault.kind] += 1

    @staticmethod
    def late(served: Served) -> None:
        """Count an answer that came after its deadline, unless fail-safe outputs are given for it: by who does that."""
        served.stats.missed += served.fail_safe is None

    @staticmethod
    def count(served: Served, fault: Fault) -> Fault:
        """Count what became of a request of this model, unless its successor is asked (Gone); the fault itself."""
        if isinstance(fault, Gone):
            return fault
        with _COUNTING:
            served.stats.faults[fault.kind] += 1
        fault.counted = True
        if isinstance(fault, Expired | Infeasible):
            served.stats.missed += 1
            served.stats.alone += fault.alone and not fault.unsure
            served.stats.unsure += fault.unsure
        return fault


def too_short(served: Served, timeout_s: float, beside_s: float = 0.0) -> Infeasible:
    """The fault of one whose run alone takes longer than it has; ``beside_s``: what it takes besides the model's."""
    takes_s = served.times.usual_s + beside_s
    unsure = served.times.latest() + beside_s <= timeout_s
    return Infeasible(f"a run takes {1e3 * takes_s:.3g} ms, it has {max(1e3 * timeout_s, 0):.3g} ms", True, unsure)
