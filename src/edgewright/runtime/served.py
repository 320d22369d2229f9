"""Served: one version of one model, open and answering."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from edgewright.core.errors import EngineError, InputError, NotAnswering
from edgewright.core.session import Session
from edgewright.runtime.config import ModelTable
from edgewright.runtime.failsafe import FailSafe
from edgewright.runtime.faults import BadRequest, Fault, NotReady
from edgewright.runtime.finite import Finite
from edgewright.runtime.loading.sources import Source
from edgewright.runtime.scheduling.batches import join, part, rows
from edgewright.runtime.scheduling.scheduler import Job
from edgewright.runtime.scheduling.times import RunTimes
from edgewright.runtime.stats import Stats

if TYPE_CHECKING:
    from edgewright.runtime.pipeline import Pipeline

Arrays = Mapping[str, NDArray[Any]]
_now = time.perf_counter
_numbers = count()


class Served:
    """``session`` is this version's own, and so is ``folder``, where its files lie if they were prepared.

    ``pipeline``: from image files and to classes, where a bundle declares it. Raises InputError when that does not fit.
    """

    def __init__(
        self, source: Source, session: Session, table: ModelTable | None = None, folder: Path | None = None
    ) -> None:
        chosen = table or ModelTable()
        self._folder = folder
        self.pipeline: Pipeline | None = None
        if source.preprocessing is not None or source.postprocessing is not None:
            from edgewright.runtime.pipeline import Pipeline

            self.pipeline = Pipeline.declared(
                session.signature, source.preprocessing, source.postprocessing, source.labels
            )
        self.source, self.number = source, next(_numbers)
        self.session = Finite(session) if chosen.finite else session
        self.times, self.stats = RunTimes(), Stats()
        self.deadline_s = chosen.deadline_ms / 1e3 or None
        self.priority = chosen.priority
        self.fail_safe = FailSafe(chosen.fail_safe, session) if chosen.fail_safe else None
        open_batch = all(s.shape and not isinstance(s.shape[0], int) for s in session.signature.inputs)
        self.most_rows = chosen.max_batch if open_batch else 1
        self.delay_s, self.preferred = chosen.max_delay_ms / 1e3, chosen.preferred_batch
        self.running, self.most_runs = 0, 1

    @property
    def reason(self) -> str:
        """Why it does not answer now (its own process is being replaced, or was given up), "" when it does."""
        found: str = getattr(self.session, "reason", "")
        return found

    def ask(self, inputs: Arrays) -> tuple[Arrays, float]:
        """The outputs, uncounted, and what images took in s besides the model's own run. Raises as the session does."""
        if self.pipeline is None:
            return self.session.infer(inputs), 0.0
        return self.pipeline.infer(self.session, inputs)

    def infer(self, inputs: Arrays) -> Arrays:
        """Run now, in this thread. Raises BadRequest, or Fault when the engine fails."""
        begin = _now()
        beside = 0.0
        try:
            if self.pipeline is None:
                outputs: Arrays = self.session.infer(inputs)
            else:
                outputs, beside = self.pipeline.infer(self.session, inputs)
        except InputError as error:
            raise BadRequest(str(error)) from error
        except EngineError as error:
            raise (NotReady if isinstance(error, NotAnswering) else Fault)(str(error)) from error
        self.stats.last = end = _now()
        took = end - begin
        size = rows(inputs) if self.most_rows > 1 else 1
        self.times.add(size, took - beside)
        self.stats.ran(size, 1, took)
        return outputs

    def close(self) -> None:
        """Give the session and the files back."""
        self.session.close()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def warm(self, requests: Sequence[Arrays], runs: int = 5) -> None:
        """Answer made-up requests, so that nobody pays for the first run and its time is not taken for the usual one.

        A model that declines them (a number that is no token of its) is warmed by its first caller.
        """
        with suppress(EngineError):
            for number in range(runs):
                begin = _now()
                self.session.infer(requests[number % len(requests)])
                if number:
                    self.times.add(1, _now() - begin)

    def run(self, jobs: Sequence[Job]) -> None:
        """Answer the jobs, together where there are several; when they fail together, each on its own."""
        start = _now()
        for job in jobs:
            self.stats.queue.add(start - job.arrived)
        if len(jobs) == 1:
            self._alone(jobs[0])
            return
        try:
            outputs, beside = self.ask(join([job.inputs for job in jobs]))
            answers = part(outputs, [job.rows for job in jobs])
        except (EngineError, InputError):
            for job in jobs:  # one of them may be at fault, and the others must not pay for it
                self._alone(job)
            return
        except ValueError:
            self.most_rows = 1  # its outputs are not one row a sample: never again
            for job in jobs:
                self._alone(job)
            return
        self.stats.last = end = _now()
        took = end - start
        total = sum(job.rows for job in jobs)
        self.times.add(total, took - beside)
        self.stats.ran(total, len(jobs), took)
        for job, answer in zip(jobs, answers, strict=True):
            job.done(answer, None)

    def _alone(self, job: Job) -> None:
        try:
            job.done(self.infer(job.inputs), None)
        except Fault as fault:
            job.done(None, fault)
