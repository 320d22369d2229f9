"""Helping: a worker that has a free place and no job to do builds and judges what others' searches will try next. It
makes room as soon as a job waits. Nothing is lost with it: what it did not finish, the search does itself."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from edgewright.core.errors import DiskFull, EdgewrightError
from edgewright.core.files import remove, storage
from edgewright.hub.database import told
from edgewright.hub.jobs import trials
from edgewright.hub.jobs.caches import Cache
from edgewright.hub.jobs.finding import goes_on, needed
from edgewright.hub.jobs.kinds import INPUT, KINDS
from edgewright.hub.jobs.rules import Able
from edgewright.hub.jobs.running import Child, Wanted
from edgewright.hub.jobs.space import Space
from edgewright.hub.jobs.steps import Run, Runs
from edgewright.hub.jobs.tables import Job
from edgewright.hub.state import State

_TURN_S, _IDLE_S = 0.3, 10.0
_MOST_S = 86_400.0
_HELP = "help "
"""Before a job's id: the same worker may take that job over."""
_LOG = logging.getLogger("edgewright.hub")


@dataclass(frozen=True)
class Helper:
    """What a worker helps with. ``machine``: how it computes; ``memory``: bytes for one child."""

    state: State
    worker: str
    able: Able
    machine: Callable[[], str]
    runs: Runs
    memory: int
    space: Space
    unfit: set[str]
    """Jobs in which something here ended the child: they are left alone."""

    def look(self) -> None:
        """Begin to help where there is something to do, in a thread of its own."""
        found = trials.pick(self.state, self.able, self.machine, self.unfit | _helped(self.runs))
        run = None if found is None else self.runs.begin(_HELP + found[1], helps=True)
        if found is not None and run is not None:
            threading.Thread(target=self._help, args=(*found, run), name="edgewright-help", daemon=True).start()

    def _help(self, tenant: str, job: str, run: Run) -> None:
        try:
            self._work(tenant, job, run)
        except SQLAlchemyError as error:
            _LOG.warning("job %s is not helped from here for now: %s", job, told(error))
        except DiskFull:
            _LOG.warning("job %s: %s", job, self.space.ran_out())
        except (EdgewrightError, OSError) as error:
            self.unfit.add(job)
            _LOG.warning("job %s is not helped from here: %s", job, told(error))
        finally:
            with suppress(SQLAlchemyError, EdgewrightError), self.state.database.write(tenant) as session:
                trials.give_back(session, job, self.worker)
            self.runs.end(_HELP + job)

    def _work(self, tenant: str, job: str, run: Run) -> None:
        with self.state.database.read(tenant) as session:
            row = session.find(Job, job)
        folder = self.state.folder / "jobs" / tenant / f"{row.content}.{self.worker}"
        with storage(folder):
            remove(folder)
            (folder / INPUT).mkdir(parents=True, mode=0o700)
        try:
            request = KINDS[row.kind].place(self.state, tenant, row, folder) | {"kind": "trials"}
            cache = Cache(self.state, tenant, row.content, folder / "out", shared=True)
            cache.fetch()
            help_ = _Help(self, tenant, job, run, cache)
            help_.child = Child(folder, self.memory, help_.said, help_.turn, _MOST_S, lambda: not run.lost)
            ended = help_.child.run(request)
            if self.space.ended(ended):
                raise DiskFull(ended.told)
            if ended.how in ("died", "error"):
                self.unfit.add(job)
                help_.finished()  # nobody else is to die of it; the search comes to it in its turn
                _LOG.warning("job %s is not helped from here any more: %s", job, ended.told)
        finally:
            remove(folder)


class _Help:
    """One child's."""

    child: Child

    def __init__(self, helper: Helper, tenant: str, job: str, run: Run, cache: Cache) -> None:
        self._helper, self._tenant, self._job, self._run, self._cache = helper, tenant, job, run, cache
        self._ready = False
        self._has = ""
        self._idle = time.monotonic()
        self._next = 0.0

    def said(self, line: dict[str, Any]) -> None:
        """The child can begin, or has done what it had."""
        self._ready = self._ready or "ready" in line
        if self._has and line.get("judged") == self._has:
            self._cache.save(now=True)
            self.finished()

    def finished(self) -> None:
        """What the child had is done."""
        if self._has:
            with self._helper.state.database.write(self._tenant) as session:
                trials.finish(session, self._job, self._has, self._helper.worker)
        self._has, self._idle, self._next = "", time.monotonic(), 0.0

    def turn(self) -> Wanted:
        """Give it something to do; "drop" when there is nothing, or something better."""
        now = time.monotonic()
        if self._run.wanted or self._run.lost:
            return "drop"
        if now < self._next:
            return ""
        self._next = now + _TURN_S
        helper = self._helper
        if needed(helper.state, helper.able):
            return "drop"
        with helper.state.database.write(self._tenant) as session:
            if not goes_on(session, self._job):
                return "drop"
            if self._has and not trials.has(session, self._job, self._has, helper.worker):
                return "drop"  # the search is at its end, and measures
            found = None
            if self._ready and not self._has:
                found = trials.take(session, self._job, helper.worker, helper.able, helper.machine())
            if found is not None:
                self._has = found.key
                self.child.tell({"judge": found.key, "spec": found.spec})
        return "drop" if self._ready and not self._has and now - self._idle > _IDLE_S else ""


def _helped(runs: Runs) -> set[str]:
    return {name.removeprefix(_HELP) for name, run in runs.all().items() if run.helps}
