"""The scheduler: one for all models and all lanes.

A request that finds nobody in line and an executor free runs at once, in the thread it came with (``enter``). Everyone
else is let in by predicted finish (``submit``), waits in the line, runs on an executor's thread, perhaps with others of
its model, and is told the moment it can no longer be done in time, whatever is running then.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Protocol

from edgewright.runtime import logs
from edgewright.runtime.faults import Cancelled, Expired, Fault, Gone, Infeasible, NotReady, Overloaded
from edgewright.runtime.scheduling.admission import Admission
from edgewright.runtime.scheduling.line import NEVER, Line, Waiting
from edgewright.runtime.scheduling.times import RunTimes

Clock = Callable[[], float]
_URGENT = 1
_LONGEST_S = 86400.0
"""A thread sleeps a day at most, then looks again: the system refuses to wait for what a client may ask."""
_REMEMBERED = 64
"""Urgent requests whose slack is remembered when others are batched."""


class Runs(Protocol):
    """What the scheduler must know of a model."""

    times: RunTimes
    most_rows: int
    """Rows of a batch at most; 1 when it is not batched."""
    delay_s: float
    """How long a batch may wait for company."""
    preferred: tuple[int, ...]
    """Rows at which a batch waits for nobody else."""
    running: int
    """Runs of it that go on, ``most_runs`` at most (0: retired); the scheduler counts."""
    most_runs: int

    def run(self, jobs: list[Job]) -> None:
        """Answer the jobs, each through its ``done``; raises nothing."""
        ...


@dataclass(eq=False, slots=True)
class Job:
    """One request. ``done`` is called once, from any thread, with the outputs or a Fault.

    ``rows`` and ``key`` say with whom it may share a run (0 rows: with nobody). ``deadline`` in s on the scheduler's
    clock. ``priority``: 1 is the most urgent.
    """

    model: Runs
    inputs: Any
    done: Callable[[Any, Fault | None], None]
    deadline: float = NEVER
    priority: int = 2
    rows: int = 0
    key: Any = None
    beside_s: float = 0.0
    """What this one is expected to take besides the model's run: decoding its images."""
    arrived: float = 0.0
    place: Waiting | None = field(default=None, repr=False)


def spare_cores() -> int:
    """Executors that leave a core to whoever reads requests: the cores this process may use but one, 1 to 16."""
    return min(max(len(os.sched_getaffinity(0)) - 1, 1), 16)


class Scheduler:
    """``executors``: how many runs at a time, of different models; ``most``: how many may wait."""

    def __init__(self, executors: int = 1, most: int = 1024, clock: Clock = time.perf_counter) -> None:
        self._lock = threading.Lock()
        self._work, self._reap = threading.Condition(self._lock), threading.Condition(self._lock)
        self._line, self._numbers = Line(), count()
        self._executors, self._free, self._most, self._clock = executors, executors, most, clock
        self._ends: list[float] = []
        self._admission = Admission()
        self._slacks: deque[float] = deque(maxlen=_REMEMBERED)
        self._rest, self._retiring = threading.Condition(self._lock), 0
        self._alarm = NEVER
        self._open = True
        self._threads: list[threading.Thread] = []

    @property
    def waiting(self) -> int:
        """How many wait."""
        return len(self._line)

    @property
    def executors(self) -> int:
        """How many runs go on at a time, at most."""
        return self._executors

    @property
    def margin(self) -> float:
        """What is kept free before deadlines, in s: how much later than predicted somebody lately was done."""
        return self._admission.margin

    def enter(self, model: Runs, beside_s: float = 0.0) -> float:
        """Take an executor for a run of one row in this thread: its expected end, to be given to ``leave``.

        ``beside_s`` as a job has it. 0.0 when none is free, the model is busy or somebody waits: then ``submit``.
        """
        with self._lock:
            if not self._free or self._line.waiting or model.running >= model.most_runs or not self._open:
                return 0.0
            end = self._clock() + model.times.mean_s + beside_s
            self._free -= 1
            model.running += 1
            self._ends.append(end)
            return end

    def leave(self, model: Runs, end: float, jobs: Sequence[Job] = ()) -> None:
        """Give the executor back; ``jobs`` were run on it."""
        with self._lock:
            for job in jobs:
                if job.place is not None and job.place.promised:
                    self._admission.learn(self._clock() - job.place.promised)
            self._free += 1
            model.running -= 1
            self._ends.remove(end)
            if self._line.waiting:
                self._work.notify()
            if self._retiring:
                self._rest.notify_all()

    def submit(self, job: Job) -> None:
        """Let a job into the line. Raises Overloaded, Infeasible, Expired or NotReady when it is not let in."""
        with self._lock:
            if not self._open:
                raise NotReady("the server is shutting down")
            if not job.model.most_runs:
                raise Gone("this version was just replaced; ask again")
            now = self._clock()
            if job.deadline <= now:
                raise Expired("its deadline had passed when it came")
            if len(self._line) >= self._most:
                raise Overloaded(f"{self._most} requests wait already; ask again later")
            job.arrived = now
            cost, spread = self._cost(job)
            place = Waiting(job.priority, job.deadline, next(self._numbers), cost, job, spread)
            if job.deadline < NEVER and job.priority == _URGENT:
                self._slacks.append(job.deadline - now - cost)
            if job.deadline < NEVER or len(self._line):
                place.promised = self._admission.finish(self._line, place, self._begins(now), now) or 0.0
            if job.deadline < NEVER and not place.promised:
                alone = job.model.times.mean(max(job.rows, 1)) + job.beside_s
                raise Infeasible(
                    f"it could not safely be done within the {1e3 * (job.deadline - now):.3g} ms it has: "
                    f"{len(self._line)} wait, and its run alone takes {1e3 * alone:.3g} ms",
                    alone > job.deadline - now,
                )
            job.place = place
            self._line.join(place, self._executors)
            self._start()
            if self._free:
                self._work.notify()
            if place.deadline - cost < self._alarm:
                self._reap.notify()

    def cancel(self, job: Job) -> bool:
        """Take a job out of the line. False when it runs already or is done."""
        with self._lock:
            if job.place is None or job.place.gone:
                return False
            self._line.leave(job.place)
            job.place.gone = True
        job.done(None, Cancelled())
        return True

    def retire(self, model: Runs, timeout_s: float) -> bool:
        """Wait until nothing of ``model`` waits or runs, and let nothing in from then on (``Gone``). False: timed out.

        Whoever found it before it was replaced is still answered by it.
        """

        def drained() -> bool:
            return not model.running and all(w.job.model is not model for w in self._line)

        with self._lock:
            self._retiring += 1
            try:
                if not self._rest.wait_for(drained, timeout_s):
                    return False
            finally:
                self._retiring -= 1
            model.most_runs = 0
            return True

    def idle(self) -> bool:
        """Whether nobody waits and an executor is free: what is done now delays nobody who is here."""
        return bool(self._free) and not len(self._line)

    def close(self) -> None:
        """Let nobody in any more, finish what waits, end the threads."""
        with self._lock:
            self._open = False
            self._work.notify_all()
            self._reap.notify_all()
        for thread in self._threads:
            thread.join()

    def _begins(self, now: float) -> list[float]:
        """When each executor can begin something."""
        return [max(end, now) for end in self._ends] + [now] * self._free

    def _cost(self, job: Job) -> tuple[float, float]:
        times, most = job.model.times, job.model.most_rows
        if job.rows and most > job.rows and len(self._line):  # it will have company
            share = job.rows / most
            return times.mean(most) * share + job.beside_s, times.spread(most) * share
        alone = max(job.rows, 1)
        return times.mean(alone) + job.beside_s, times.spread(alone)

    def _start(self) -> None:
        if not self._threads:
            names = [(self._execute, f"executor-{i}") for i in range(self._executors)] + [(self._watch, "reaper")]
            for target, name in names:
                self._threads.append(threading.Thread(target=target, name=f"edgewright-{name}", daemon=True))
                self._threads[-1].start()

    def _execute(self) -> None:
        while True:
            with self._lock:
                jobs: list[Job] = []
                while not jobs:
                    if not self._open and not len(self._line):
                        return
                    wait = None
                    if self._free and len(self._line):
                        jobs, wait = self._take(self._clock())
                    if not jobs:
                        self._work.wait(None if wait is None else min(wait, _LONGEST_S))
                model = jobs[0].model
                beside = sum(j.beside_s for j in jobs)
                end = self._clock() + model.times.mean(sum(j.rows for j in jobs) or 1) + beside
                self._free -= 1
                model.running += 1
                self._ends.append(end)
                if self._free and len(self._line):
                    self._work.notify()
            try:
                model.run(jobs)
            except Exception:  # noqa: BLE001 - without this thread nobody in line would ever be answered
                logs.trouble("an executor goes on")
            self.leave(model, end, jobs)
            if len(os.sched_getaffinity(0)) == 1:
                time.sleep(0)  # whoever sends the answer has no other core: some 50 us of this one, or wait out a run

    def _take(self, now: float) -> tuple[list[Job], float | None]:
        """The next batch, out of the line; or nobody, and how long to wait for company (None: for a run to end)."""
        head = next((w for w in self._line if w.job.model.running < w.job.model.most_runs), None)
        if head is None:
            return [], None
        first: Job = head.job
        chosen, rows, beside = [head], first.rows, first.beside_s
        model = first.model
        if rows and model.most_rows > rows:
            latest = min(head.deadline, now + self._patience(first, now))
            for other in self._line:
                job: Job = other.job
                if other is head or job.model is not model or job.key != first.key:
                    # Nobody else may be made late by waiting for a larger batch.
                    if other is not head:
                        latest = min(latest, other.deadline - other.cost)
                    continue
                together = rows + job.rows
                end = now + model.times.mean(together) + beside + job.beside_s
                if together > model.most_rows or end > min(latest, other.deadline):
                    continue
                chosen.append(other)
                rows, latest = together, min(latest, other.deadline)
                beside += job.beside_s
            company = first.arrived + model.delay_s
            patience = min(company, latest - model.times.mean(rows) - beside) - now
            if rows < model.most_rows and rows not in model.preferred and patience > 0 and self._open:
                return [], patience
        for one in chosen:
            self._line.leave(one)
            one.gone = True
        return [one.job for one in chosen], None

    def _patience(self, first: Job, now: float) -> float:
        """How long a batch may run, in s: an urgent request that comes meanwhile must still find its usual slack."""
        if first.priority == _URGENT or not self._slacks:
            return NEVER
        return max(min(self._slacks), 0.0)

    def _watch(self) -> None:
        """Tell those who cannot be done in time any more, at once."""
        while True:
            with self._lock:
                while self._open and self._line.next_deadline() > self._clock():
                    self._alarm = self._line.next_deadline()
                    wait = min(max(self._alarm - self._clock(), 0.0), _LONGEST_S)
                    self._reap.wait(None if self._alarm == NEVER else wait)
                if not self._open:
                    return
                now = self._clock()
                late = self._line.hopeless(now)
                for one in late:
                    one.gone = True
                    if one.promised:
                        self._admission.learn(now + one.cost - one.promised)
            for one in late:
                try:
                    one.job.done(None, Expired("its deadline could not be met any more while it waited"))
                except Exception:  # noqa: BLE001 - the others are told, too, and those of tomorrow
                    logs.trouble("the reaper goes on")
