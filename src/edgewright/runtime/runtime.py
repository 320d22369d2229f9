"""Runtime: models served in this process. The HTTP and socket lanes stand on it; a program may use it alone."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from numpy.typing import NDArray

from edgewright.runtime.faults import Fault, Infeasible
from edgewright.runtime.repository import Repository
from edgewright.runtime.scheduling.batches import key, rows
from edgewright.runtime.scheduling.line import NEVER
from edgewright.runtime.scheduling.scheduler import Job, Scheduler
from edgewright.runtime.served import Served

Arrays = Mapping[str, NDArray[Any]]
_now = time.perf_counter


class Runtime:
    """Serves the bundle, model file or folder of them at ``path``, one run at a time.

    Raises what keeps a single bundle or model from loading. Close it, or use it in a ``with``.
    """

    def __init__(self, path: str | Path) -> None:
        self.repository = Repository.of(Path(path))
        self.scheduler = Scheduler()

    def infer(
        self, inputs: Arrays, model: str = "", *, deadline_ms: float | None = None, priority: int = 2
    ) -> dict[str, NDArray[Any]]:
        """The outputs by name. ``model``: which one, where several are served; ``name:version`` for one version.

        Raises BadRequest, NotFound, NotReady; with ``deadline_ms``, Infeasible, Expired or Overloaded instead of an
        answer that comes too late.
        """
        served = self.repository.find(model)
        scheduler = self.scheduler
        if deadline_ms is not None and served.times.mean() * 1e3 > deadline_ms:
            served.stats.faults["infeasible"] += 1
            raise Infeasible(f"a run takes {served.times.mean() * 1e3:.3g} ms, it has {deadline_ms:.3g} ms")
        end = scheduler.enter(served)
        if not end:
            return self._wait(served, inputs, deadline_ms, priority)
        try:
            return served.infer(inputs)
        finally:
            scheduler.leave(end)

    def _wait(
        self, served: Served, inputs: Arrays, deadline_ms: float | None, priority: int
    ) -> dict[str, NDArray[Any]]:
        over = threading.Event()
        answer: list[Any] = []

        def done(outputs: Any, fault: Fault | None) -> None:
            answer.extend((outputs, fault))
            over.set()

        deadline = NEVER if deadline_ms is None else _now() + deadline_ms / 1e3
        job = Job(served, inputs, done, deadline, priority)
        if served.most_rows > 1:
            job.rows, job.key = rows(inputs), key(inputs)
        try:
            self.scheduler.submit(job)
        except Fault as fault:
            served.stats.faults[fault.kind] += 1
            raise
        over.wait()
        outputs, wrong = answer
        if wrong is not None:
            served.stats.faults[wrong.kind] += 1
            raise wrong
        found: dict[str, NDArray[Any]] = outputs
        return found

    def close(self) -> None:
        """Finish what waits, and close every model."""
        self.scheduler.close()
        self.repository.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
