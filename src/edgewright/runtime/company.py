"""Company: requests of a quick model that came in the same look at the sockets run as one, on the loop's own thread.

Waiting for company would take longer than such a run. What is here already costs nobody a wait, and a run of eight rows
takes little more than one of a single row.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, cast

from edgewright.runtime.desk import Desk
from edgewright.runtime.faults import Fault
from edgewright.runtime.scheduling.line import NEVER
from edgewright.runtime.scheduling.scheduler import Job

if TYPE_CHECKING:
    from edgewright.runtime.served import Served

SHORT_S = 0.0003
"""Runs below this happen on the loop's own thread: handing them over would take longer (facts: a hop costs 65 us)."""

CROWD = 4
"""Sockets that are ready at once from which on it pays to look for company: sharing has a price of its own."""
_AGAIN = 256
"""So often requests come before it is looked again on how many cores this process may run."""


class Company:
    """``later`` runs a function once all that was found in this look is read (the loop's ``call``)."""

    def __init__(self, desk: Desk, later: Callable[[Callable[[], None]], None]) -> None:
        self._desk, self._later = desk, later
        self._jobs: list[Job] = []
        self._pays, self._left = False, 0

    @property
    def pays(self) -> bool:
        """Whether it is worth it: on a single core. Where there are more, clients are busy with the first replies while
        the others are made, and all of them at once leaves either side waiting for the other (58,000 requests a second
        became 28,000)."""
        self._left -= 1
        if self._left < 0:
            self._left, self._pays = _AGAIN, len(os.sched_getaffinity(0)) == 1
        return self._pays

    def join(self, job: Job) -> None:
        """Run this one with the others of its kind. The job has rows and a key, and counts what becomes of it."""
        if not self._jobs:
            self._later(self._run)
        self._jobs.append(job)

    def _run(self) -> None:
        jobs, self._jobs = self._jobs, []
        for alike in _kinds(jobs):
            for batch in batches(alike, time.perf_counter()):
                self._together(batch)

    def _together(self, jobs: list[Job]) -> None:
        model = cast("Served", jobs[0].model)
        scheduler, takes = self._desk.scheduler, model.times.mean(sum([job.rows for job in jobs]))
        in_time = time.perf_counter() + takes <= min([job.deadline for job in jobs])
        if in_time and scheduler.enter(model, takes - model.times.mean_s):
            try:
                model.answer(jobs, views=True)  # each is written into its reply at once
            finally:
                scheduler.leave(model)
            return
        for job in jobs:
            try:
                scheduler.submit(job)
            except Fault as fault:
                job.done(None, fault)


def _kinds(jobs: list[Job]) -> Iterable[list[Job]]:
    """Those of one model and key together, the most urgent kind first."""
    first = jobs[0]
    if all(job.key is first.key and job.model is first.model for job in jobs):  # the usual case, without a hash
        return [jobs]
    kinds: dict[Any, list[Job]] = {}
    for job in jobs:
        kinds.setdefault((job.model, job.key), []).append(job)
    return sorted(kinds.values(), key=lambda found: min((job.priority, job.deadline) for job in found))


def batches(jobs: list[Job], now: float) -> Iterator[list[Job]]:
    """Runs of at most the model's rows and ``SHORT_S``, the urgent first; alone whoever would be late in company."""
    model, total = jobs[0].model, sum([job.rows for job in jobs])
    takes = model.times.mean(total)
    if total <= model.most_rows and takes <= SHORT_S and now + takes <= min([job.deadline for job in jobs]):
        yield jobs
        return
    batch: list[Job] = []
    rows, latest = 0, NEVER
    for job in sorted(jobs, key=lambda job: (job.priority, job.deadline)):
        rows, latest = rows + job.rows, min(latest, job.deadline)
        takes = model.times.mean(rows)
        if batch and (rows > model.most_rows or takes > SHORT_S or now + takes > latest):
            yield batch
            batch, rows, latest = [], job.rows, job.deadline
        batch.append(job)
    yield batch
