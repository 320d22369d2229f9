"""The scheduler: one for all models and all lanes.

A request that finds nobody in line and an executor free runs at once, in the thread it came with (``enter``). Everyone
else is let in by predicted finish (``submit``), waits in the line, runs on an executor's thread, perhaps with others of
its model, and is told the moment it can no longer be done in time, whatever is running then.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Protocol

from edgewright.runtime import logs
from edgewright.runtime.faults import Cancelled, Expired, Fault, Gone, NotReady, Overloaded
from edgewright.runtime.scheduling.admission import Admission, untried
from edgewright.runtime.scheduling.choosing import Batch, choose
from edgewright.runtime.scheduling.line import NEVER, Line, Waiting
from edgewright.runtime.scheduling.machine import Machine
from edgewright.runtime.scheduling.times import RunTimes

Clock = Callable[[], float]
Done = Callable[[Any, Fault | None], None]
"""Called once, from any thread, with the outputs or with a fault; Gone: the version's successor is to be asked."""
_LONGEST_S = 86400.0
"""A thread sleeps a day at most, then looks again: the system refuses to wait for what a client may ask."""


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
    until: float
    """When the run that goes on should end, in s on the scheduler's clock; it is the scheduler's."""

    @property
    def last(self) -> float:
        """When a run of it last ended, in s on the scheduler's clock."""
        ...

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
    done: Done
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
        self._line, self._numbers, self._admission = Line(), count(), Admission()
        self._executors, self._free, self._most, self._clock = executors, executors, most, clock
        self._ends: list[float] = []
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

    def enter(self, model: Runs, beside_s: float = 0.0) -> bool:
        """Take an executor for a run of one row in this thread; then ``leave``.

        ``beside_s`` as a job has it. False when none is free, the model is busy or somebody waits: then ``submit``.
        """
        with self._lock:
            if not self._free or self._line.waiting or model.running >= model.most_runs or not self._open:
                return False
            model.until = end = self._clock() + model.times.mean_s + beside_s
            self._free -= 1
            model.running += 1
            self._ends.append(end)
            return True

    def leave(self, model: Runs, jobs: Sequence[Job] = ()) -> None:
        """Give the executor back; ``jobs`` were run on it."""
        with self._lock:
            for job in jobs:
                if job.place is not None and job.place.promised:
                    self._admission.learn(job.place, self._clock() - job.place.promised)
            self._free += 1
            model.running -= 1
            self._ends.remove(model.until)
            if self._line.waiting:
                self._work.notify()
            if self._retiring:
                self._rest.notify_all()

    def untried(self, model: Runs, takes_s: float, left_s: float) -> bool:
        """Whether one who has ``left_s`` may find out in line if a run still takes ``takes_s``, which is longer."""
        return untried(model, takes_s, left_s, self._clock())

    def submit(self, job: Job) -> None:
        """Let a job into the line. Raises Overloaded, Infeasible, Expired or NotReady when it is not let in.

        In a full line the last one makes room for one of a more urgent priority, and is told Overloaded.
        """
        with self._lock:
            if not self._open:
                raise NotReady("the server is shutting down")
            if not job.model.most_runs:
                raise Gone("this version was just replaced; ask again")
            now = self._clock()
            if job.deadline <= now:
                raise Expired("its deadline had passed when it came")
            shed = [self._line.last] if len(self._line) >= self._most else []
            if shed and shed[0].priority <= job.priority:
                raise self._full()
            self._start()
            place = self._admission.place(job, next(self._numbers), self._line, self._machine(), now)
            self._out(shed)
            job.arrived, job.place = now, place
            self._line.join(place, self._executors)
            if self._free:
                self._work.notify()
            if place.deadline - place.alone < self._alarm:
                self._reap.notify()
        for one in shed:
            tell(one.job.done, None, self._full())

    def cancel(self, job: Job) -> bool:
        """Take a job out of the line. False when it runs already or is done."""
        with self._lock:
            if job.place is None or job.place.gone:
                return False
            self._out([job.place])
        job.done(None, Cancelled())
        return True

    def retire(self, model: Runs, timeout_s: float) -> bool:
        """Wait until nothing of ``model`` waits or runs, and let nothing in from then on (``Gone``). False: timed out.

        Whoever found it before it was replaced is still answered by it.
        """

        def drained() -> bool:
            return not model.running and all(w.model is not model for w in self._line)

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
        return self._free > 0 and not len(self._line)

    def close(self) -> None:
        """Let nobody in any more, finish what waits, end the threads."""
        with self._lock:
            self._open = False
            self._out(())
        for thread in self._threads:
            thread.join()

    def _machine(self) -> Machine:
        return Machine(self._executors, self._free, self._ends)

    def _out(self, ones: Sequence[Waiting]) -> None:
        """Take these out of the line, and wake those who look at what is left."""
        for one in ones:
            self._line.leave(one)
            one.gone = True
        if self._retiring:
            self._rest.notify_all()
        if not self._open:
            self._work.notify_all()
            self._reap.notify_all()

    def _start(self) -> None:
        while len(self._threads) <= self._executors:
            number = len(self._threads)
            target, name = (self._execute, f"executor-{number}") if number else (self._watch, "reaper")
            thread = threading.Thread(target=target, name=f"edgewright-{name}", daemon=True)
            thread.start()
            self._threads.append(thread)

    def _execute(self) -> None:
        while jobs := self._next():
            model = jobs[0].model
            try:
                model.run(jobs)
            except Exception:  # noqa: BLE001 - without this thread nobody in line would ever be answered
                logs.trouble("an executor goes on")
            self.leave(model, jobs)
            del jobs, model  # while it waits for others, nobody needs them
            if len(os.sched_getaffinity(0)) == 1:
                time.sleep(0)  # whoever sends the answer has no other core: some 50 us of this one, or wait out a run

    def _next(self) -> list[Job]:
        """Wait for the next run: its jobs; none when there will be no more."""
        with self._lock:
            while self._open or len(self._line):
                wait = None
                if self._free and len(self._line):
                    now, longest_s = self._clock(), self._admission.longest_s
                    batch, wait = choose(self._line, now, self._machine(), longest_s, self._open)
                    if batch is not None:
                        return self._begin(batch, now)
                self._work.wait(None if wait is None else min(wait, _LONGEST_S))
            return []

    def _begin(self, batch: Batch, now: float) -> list[Job]:
        self._out(batch.members)
        model = batch.members[0].job.model
        model.until = end = now + batch.takes_s
        self._free -= 1
        model.running += 1
        self._ends.append(end)
        if self._free and len(self._line):
            self._work.notify()
        return [one.job for one in batch.members]

    def _watch(self) -> None:
        while late := self._late():
            for one in late:
                tell(one.job.done, None, Expired("its deadline could not be met any more while it waited"))
            del late, one

    def _late(self) -> list[Waiting]:
        """Wait for somebody who cannot be done in time any more: all of these; none when there will be no more."""
        with self._lock:
            while self._open or len(self._line):
                now = self._clock()
                late = self._line.hopeless(now)
                if late:
                    for one in late:
                        if one.promised:
                            self._admission.learn(one, now + one.alone - one.promised)
                    self._out(late)
                    return late
                self._alarm = self._line.next_deadline()
                wait = min(max(self._alarm - now, 0.0), _LONGEST_S)
                self._reap.wait(None if self._alarm == NEVER else wait)
            return []

    def _full(self) -> Overloaded:
        return Overloaded(f"{self._most} requests wait already; ask again later")


def tell(done: Done, outputs: Any, fault: Fault | None) -> None:
    """Call ``done``. What goes wrong in it is its owner's affair: the others are told, too."""
    try:
        done(outputs, fault)
    except Exception:  # noqa: BLE001 - as above
        logs.trouble("an answer could not be handed over")
