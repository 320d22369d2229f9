"""The scheduler in simulated time: its executors and its reaper do what their threads would, when the clock says so."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from itertools import count
from typing import Any

from edgewright.runtime.faults import Fault
from edgewright.runtime.scheduling.scheduler import Job, Scheduler
from edgewright.runtime.scheduling.times import RunTimes

_A_MOMENT = 1e-9


class _Asleep(BaseException):
    """A thread would wait now, so many s at most."""

    def __init__(self, wait_s: float | None) -> None:
        self.wait_s = wait_s


class _Started(BaseException):
    """An executor would run these now."""

    def __init__(self, jobs: list[Job]) -> None:
        self.jobs = jobs


class _Nap:
    """In a condition's place."""

    def wait(self, timeout: float | None = None) -> bool:
        raise _Asleep(timeout)

    def notify(self) -> None:
        pass

    notify_all = notify


class _Scheduler(Scheduler):
    def __init__(self, executors: int, most: int, clock: Callable[[], float]) -> None:
        super().__init__(executors, most, clock)
        self._work = self._reap = _Nap()  # type: ignore[assignment]

    def _start(self) -> None:
        pass


class SimulatedModel:
    """A run of so many rows takes ``duration(rows)`` s. ``runs``: when each began, and its jobs' inputs."""

    def __init__(
        self, duration: Callable[[int], float], most_rows: int = 1, delay_s: float = 0.0,
        preferred: tuple[int, ...] = (),
    ) -> None:  # fmt: skip
        self.times, self.duration = RunTimes(), duration
        self.most_rows, self.delay_s, self.preferred = most_rows, delay_s, preferred
        self.running, self.most_runs, self.until, self.last = 0, 1, 0.0, 0.0
        self.runs: list[tuple[float, list[Any]]] = []

    def learn(self, *sizes: int, runs: int = 64) -> SimulatedModel:
        """It ran with so many rows before; the same model."""
        for rows in sizes or (1,):
            for _ in range(runs):
                self.times.add(rows, self.duration(rows))
        return self

    def run(self, jobs: list[Job]) -> None:
        """Never returns: the simulation ends it."""
        raise _Started(jobs)


class Simulation:
    """``now`` in s. ``told``: when each request was told what, by its name: its name again, or a Fault's class.

    Whoever is told twice fails the simulation.
    """

    def __init__(self, executors: int = 1, most: int = 1024) -> None:
        self.now, self.told = 1000.0, dict[Any, tuple[float, Any]]()
        self.scheduler = _Scheduler(executors, most, lambda: self.now)
        self._idle, self._woken = executors, float("inf")
        self._events: list[tuple[float, int, Callable[[], object]]] = []
        self._numbers = count()

    def at(self, when: float, call: Callable[[], object]) -> None:
        """Call at that time."""
        heapq.heappush(self._events, (when, next(self._numbers), call))

    def ask(self, model: SimulatedModel, name: Any, limit_s: float = float("inf"), **more: Any) -> Job | None:
        """A request of ``model`` comes now, with ``limit_s`` until its deadline; None when it is not let in."""

        def done(outputs: Any, fault: Fault | None) -> None:
            assert name not in self.told, f"{name} was told twice"
            self.told[name] = self.now, outputs if fault is None else type(fault)

        job = Job(model, name, done, self.now + limit_s, **more)
        try:
            self.scheduler.submit(job)
        except Fault as fault:
            done(None, fault)
            return None
        finally:
            self._settle()
        return job

    def run(self, until: float = float("inf")) -> None:
        """Let time pass, until nothing more is to happen."""
        self._settle()
        while self._events and self._events[0][0] <= until:
            self.now, _, call = heapq.heappop(self._events)
            call()
            self._settle()
        self.now = max(self.now, until if until < float("inf") else self.now)

    def _settle(self) -> None:
        """All threads do what they can now."""
        try:
            self.scheduler._watch()
        except _Asleep as nap:
            self._wake(nap.wait_s)
        while self._idle:
            try:
                self.scheduler._execute()
            except _Asleep as nap:
                self._wake(nap.wait_s)
                return
            except _Started as run:
                self._begin(run.jobs)

    def _wake(self, wait_s: float | None) -> None:
        when = self.now + _A_MOMENT + (float("inf") if wait_s is None else wait_s)
        if when < self._woken:  # one at a time: whoever is woken says anew how long it would sleep
            self._woken = when
            self.at(when, self._awake)

    def _awake(self) -> None:
        self._woken = float("inf")

    def _begin(self, jobs: list[Job]) -> None:
        model, rows, began = jobs[0].model, sum(job.rows for job in jobs) or 1, self.now
        assert isinstance(model, SimulatedModel)
        model.runs.append((began, [job.inputs for job in jobs]))
        took = model.duration(rows)
        self._idle -= 1

        def end() -> None:
            model.times.add(rows, took)
            model.last = self.now
            for job in jobs:
                job.done(job.inputs, None)
            self.scheduler.leave(model, jobs)
            self._idle += 1

        self.at(began + took, end)
