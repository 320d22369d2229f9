"""Served: one version of one model, open and answering."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edgewright.core.errors import EngineError, InputError
from edgewright.core.model import Signature
from edgewright.core.session import Session
from edgewright.runtime import logs
from edgewright.runtime.config import ModelTable
from edgewright.runtime.failsafe import FailSafe
from edgewright.runtime.faults import BadRequest, Fault, run_fault
from edgewright.runtime.finite import Finite
from edgewright.runtime.loading.sources import Source
from edgewright.runtime.observed import Observed
from edgewright.runtime.scheduling.batches import join, part, rows
from edgewright.runtime.scheduling.scheduler import Job, tell
from edgewright.runtime.scheduling.times import RunTimes
from edgewright.runtime.stats import Stats

if TYPE_CHECKING:
    from edgewright.runtime.pipeline import Pipeline

Arrays = Mapping[str, NDArray[Any]]
_now = time.perf_counter
_numbers = count()
_LONG_S = 0.0001
"""Runs below this are so short that it matters to nobody how many rows they had."""


class Lent(dict[str, NDArray[Any]]):
    """Outputs of the version before, where the one that was asked failed."""


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
        self._raw = session
        self.source, self.number = source, next(_numbers)
        self.session = Finite(session) if chosen.finite else session
        self.times, self.stats = RunTimes(), Stats()
        declared = None if self.pipeline is None else self.pipeline.postprocessing
        self.observed = Observed(source, self.stats, session.signature, declared)
        self.deadline_s = chosen.deadline_ms / 1e3 or None
        self.priority = chosen.priority
        self.fail_safe = FailSafe(chosen.fail_safe, session) if chosen.fail_safe else None
        open_batch = all(s.shape and not isinstance(s.shape[0], int) for s in session.signature.inputs)
        open_batch = open_batch and _one_row_each(session.signature)
        self.most_rows = chosen.max_batch if open_batch else 1
        self.delay_s, self.preferred = chosen.max_delay_ms / 1e3, chosen.preferred_batch
        self.running, self.most_runs, self.until = 0, 1, 0.0
        self.at_work: tuple[float, Arrays] | None = None
        """When the run that goes on began, by ``time.perf_counter``, and what it was given."""
        self.rival: Served | None = None
        """The version before, while this one is on trial: it answers where this one fails."""
        self.worse = 0
        """Runs in which this one failed and its rival did not."""
        self.varied = False
        """Whether requests of several rows were seen to take long, so that how many they have matters to others."""
        self._hung, self.hangs = False, 0
        """Runs that would not end: no more of it on the thread that reads requests."""

    @property
    def last(self) -> float:
        """When a run last ended, by ``time.perf_counter``; 0.0 before the first."""
        return self.stats.last

    @property
    def reason(self) -> str:
        """Why it does not answer now (its own process is being replaced, or was given up), "" when it does."""
        found: str = getattr(self.session, "reason", "")
        return found

    def ask(self, inputs: Arrays) -> tuple[Arrays, float]:
        """The outputs, uncounted, and what images took in s besides the model's own run. Raises as the session does."""
        self.at_work = _now(), inputs
        try:
            if self.pipeline is None:
                return self.session.infer(inputs), 0.0
            return self.pipeline.infer(self.session, inputs)
        except EngineError as error:
            raise self._explained(error) from error
        finally:
            self.at_work = None

    def infer(self, inputs: Arrays) -> Arrays:
        """Run now, in this thread. Raises BadRequest, or Fault when the engine fails."""
        begin = _now()
        beside = 0.0
        self.at_work = begin, inputs
        try:
            if self.pipeline is None:
                outputs: Arrays = self.session.infer(inputs)
            else:
                outputs, beside = self.pipeline.infer(self.session, inputs)
                if beside:
                    self.stats.beside.add(beside)
        except InputError as error:
            raise BadRequest(str(error)) from error
        except EngineError as error:
            told, rival, self.at_work = self._explained(error), self.rival, None
            lent = None if rival is None else rival.lend(inputs)
            if lent is not None:
                self.worse += 1
                self.observed.replaced += 1
                return lent
            raise run_fault(told) from error
        finally:
            self.at_work = None
        self.stats.last = end = _now()
        took = end - begin
        size = rows(inputs) if self.most_rows > 1 else 1
        self.stats.ran(size, 1, took)
        self.observed.ran(outputs, took)
        if took - beside > _LONG_S:
            size = rows(inputs)
            self.varied |= size > 1
        self.times.add(size, took - beside)
        return outputs

    def more_s(self, inputs: Arrays) -> float:
        """How much longer these will take than one row, in s."""
        if not self.varied or not all(isinstance(array, np.ndarray) for array in inputs.values()):
            return 0.0
        return max(self.times.mean(rows(inputs) or 1) - self.times.mean_s, 0.0)

    def lend(self, inputs: Arrays) -> Lent | None:
        """The outputs, uncounted, for another version that could not give them; None when this one cannot either: then
        the request is at fault."""
        with suppress(EngineError, InputError):
            return Lent(self.ask(inputs)[0])
        return None

    @property
    def interruptible(self) -> bool:
        """Whether a run can be ended: the engine lets it be done, or the process is the model's own."""
        return hasattr(self._raw, "interrupt")

    def interrupt(self) -> bool:
        """End the run that goes on, from any thread: its caller gets a Fault. False where that cannot be done, was done
        already, or is somebody else's to do (in a process of its own)."""
        interrupt = getattr(self._raw, "interrupt", None)
        if interrupt is None or hasattr(self._raw, "reason") or self._hung:
            return False
        self._hung, self.hangs = True, self.hangs + 1
        interrupt()
        return True

    def _explained(self, error: EngineError) -> EngineError:
        """Why a run failed, once more usable if it was interrupted."""
        if not self._hung:
            return error
        getattr(self._raw, "resume", bool)()
        self._hung = False
        return EngineError(
            "the run was ended: it took far longer than any other; does the model loop for ever on this?"
        )

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
        """Answer jobs that waited in line: as ``answer``, each with outputs of its own."""
        start = _now()
        for job in jobs:
            self.stats.queue.add(start - job.arrived)
        self.answer(jobs)

    def answer(self, jobs: Sequence[Job], views: bool = False) -> None:
        """Answer the jobs, together where there are several; when they fail together, each on its own. ``views``: of
        outputs that they share, for who writes them down at once."""
        answers = self._shared(jobs, views) if len(jobs) > 1 else None
        if answers is None:
            for job in jobs:  # one of them may be at fault, and the others must not pay for it
                self._alone(job)
            return
        for job, answer in zip(jobs, answers, strict=True):
            tell(job.done, answer, None)

    def _shared(self, jobs: Sequence[Job], views: bool) -> list[dict[str, NDArray[Any]]] | None:
        """What one run of all gives each; None where that failed: each alone is told what is wrong."""
        start = _now()
        try:
            outputs, beside = self.ask(join([job.inputs for job in jobs]))
        except Exception:  # noqa: BLE001 - as above
            return None
        try:
            answers = part(outputs, [job.rows for job in jobs], views)
        except ValueError:
            self.most_rows = 1  # its outputs are not one row a sample: never again
            return None
        self.stats.last = end = _now()
        if beside:
            self.stats.beside.add(beside)
        total = sum(job.rows for job in jobs)
        self.times.add(total, end - start - beside)
        self.stats.ran(total, len(jobs), end - start)
        self.observed.ran(outputs, end - start, len(jobs))
        return answers

    def _alone(self, job: Job) -> None:
        try:
            outputs = self.infer(job.inputs)
        except Fault as fault:
            tell(job.done, None, fault)
        except Exception:  # noqa: BLE001 - a fault of ours must cost its sender an error, and nobody else anything
            logs.trouble(f"a run of {self.source.name} failed")
            tell(job.done, None, Fault("the server has a fault; its log says which"))
        else:
            tell(job.done, outputs, None)


def _one_row_each(signature: Signature) -> bool:
    """Whether outputs can be one row a sample, as far as the signature tells: their first axis is as open as the
    inputs', and no other axis grows with it (all pairs of a batch would be what its callers must not see)."""
    axes = {spec.shape[0] for spec in signature.inputs if spec.shape and isinstance(spec.shape[0], str)}
    return all(
        spec.shape and not isinstance(spec.shape[0], int) and not axes.intersection(spec.shape[1:])
        for spec in signature.outputs
    )
