"""The worker: a process that does jobs, some at a time, until it is told to end. What it has then is handed back; what
it has when it is killed, others take over."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from datetime import timedelta

from sqlalchemy.exc import SQLAlchemyError

from edgewright.core.closing import Closing
from edgewright.core.errors import EdgewrightError, StorageError
from edgewright.core.notify import notify
from edgewright.hub.database import told
from edgewright.hub.jobs.beats import BEAT_S, Beats
from edgewright.hub.jobs.caches import forget
from edgewright.hub.jobs.finding import claims, wishes
from edgewright.hub.jobs.helping import Helper
from edgewright.hub.jobs.machine import machine
from edgewright.hub.jobs.queue import claim, left_behind
from edgewright.hub.jobs.steps import Runs, Steps
from edgewright.hub.state import State

_LOOK_S, _AGAIN_S = 0.5, 5.0
_FEWEST_BYTES = 4 * 2**30
_ORPHAN_S, _FORGET_S = 15.0, 3600.0
_REMEMBERED = timedelta(days=7)
_END_S = 30.0
_LOG = logging.getLogger("edgewright.hub")


class Lost(EdgewrightError):  # noqa: N818 - reads as what it says
    """Others gave this worker up and took its jobs over: it has to begin anew."""


def work(state: State, slots: int, over: threading.Event, ready: Callable[[str], None] = lambda _: None) -> None:
    """Do jobs, ``slots`` at a time, until ``over`` is set. ``ready`` is told the worker's id. Raises StorageError,
    Lost."""
    with _Worker(state, slots) as worker:
        ready(worker.id)
        notify("READY=1")
        worker.run(over)


class _Worker(Closing):
    def __init__(self, state: State, slots: int) -> None:
        from edgewright.hub.jobs.durable import Durable

        self._state = state
        try:
            self._beats = Beats(state, slots)
        except SQLAlchemyError as error:
            raise StorageError(told(error)) from error
        self.id = self._beats.id
        self._runs = Runs(slots)
        self._over = threading.Event()
        self._lost = False
        self._orphans: dict[str, float] = {}
        self._forget = 0.0
        memory = max(int(0.9 * self._beats.memory_bytes) // slots, _FEWEST_BYTES)
        self._steps = Steps(state, self.id, self._beats.able, self._runs, memory, machine)
        self._helper = Helper(state, self.id, self._beats.able, machine, self._runs, memory, self._steps.space, set())
        self._durable = Durable(state, self.id, self._steps.work, self._steps.end, self._runs.end)
        self._thread = threading.Thread(target=self._beat, name="edgewright-beats", daemon=True)
        self._thread.start()

    def run(self, over: threading.Event) -> None:
        while not over.wait(_LOOK_S):
            if self._lost:
                raise Lost("this worker was silent for too long, and its jobs were taken over; start it again")
            notify("WATCHDOG=1")
            try:
                self._tidy()
                self._obey()
                while self._room() and not over.is_set():
                    found = claim(self._state, self.id, self._beats.able)
                    if found is None:
                        self._helper.look()
                        break
                    self._begin(*found)
            except (SQLAlchemyError, EdgewrightError, OSError) as error:
                _LOG.warning("jobs cannot be taken, and are tried again: %s", told(error))
                over.wait(_AGAIN_S)

    def close(self) -> None:
        """Hand back what there is, and be gone."""
        self._runs.leave()
        for what in ("leaving", "gone"):
            try:
                self._beats.say(what)
                if what == "leaving":
                    self._wait()
            except SQLAlchemyError as error:
                _LOG.warning("the worker ends without a word: %s", told(error))
        self._over.set()
        self._durable.close()
        self._thread.join()

    def _wait(self) -> None:
        until = time.monotonic() + _END_S
        while self._runs.all() and time.monotonic() < until:
            time.sleep(0.05)

    def _room(self) -> bool:
        return not self._lost and len(self._runs.all()) < self._runs.slots and self._steps.space.enough()

    def _begin(self, tenant: str, job: str, claim_: int) -> None:
        self._runs.begin(job, claim_)
        try:
            self._durable.start(tenant, job, claim_)
        except Exception:
            self._runs.end(job, claim_)
            raise

    def _obey(self) -> None:
        """Hand on what is wanted of the jobs; hand back what nothing here works at: its workflow broke off."""
        wanted, runs, now = wishes(self._state, self.id), self._runs.all(), time.monotonic()
        for (_, job), stop in wanted.items():
            if job in runs and not runs[job].wanted:
                runs[job].wanted = stop  # type: ignore[assignment]
            elif job in runs and stop == "drop":
                runs[job].wanted = "drop"
        idle = {job for _, job in wanted} - set(runs)
        self._orphans = {job: self._orphans.get(job, now) for job in idle}
        if any(now - since > _ORPHAN_S for since in self._orphans.values()):
            left_behind(self._state, {self.id}, kept=runs)

    def _tidy(self) -> None:
        """Every hour."""
        if time.monotonic() > self._forget:
            self._forget = time.monotonic() + _FORGET_S
            forget(self._state)
            self._durable.forget(self._state.clock() - _REMEMBERED, claims(self._state))

    def _beat(self) -> None:
        """Beside all that, so that nothing keeps it from being told."""
        while not self._over.wait(BEAT_S):
            try:
                if not self._beats.beat():
                    self._lost = True
                    for run in self._runs.all().values():
                        run.lost = True
                    return
                self._beats.look(self._durable.take_over)
            except (SQLAlchemyError, EdgewrightError) as error:
                _LOG.warning("the worker's beat was not told: %s", told(error))
            except Exception as error:  # noqa: BLE001 - DBOS's own: the thread lives on
                _LOG.error("a dead worker's jobs were not taken over, and are tried again", exc_info=error)
