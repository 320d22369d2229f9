"""One job, from its files to its results. ``Steps.work`` and ``Steps.end`` are what the durable workflow does; each may
be done twice, and on two machines."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy.exc import DataError, IntegrityError, SQLAlchemyError

from edgewright.core.errors import DiskFull, EdgewrightError, StorageError, Unavailable
from edgewright.core.files import exclusive, family, reason, remove, storage
from edgewright.hub.database import no_room, told
from edgewright.hub.errors import Absent
from edgewright.hub.jobs.caches import Cache
from edgewright.hub.jobs.fanout import Fanout
from edgewright.hub.jobs.kinds import INPUT, KINDS
from edgewright.hub.jobs.queue import CLAIMS, adopt, contents, hand_back, held, move, take
from edgewright.hub.jobs.rules import MOST_DEATHS, Able
from edgewright.hub.jobs.running import Child, Ended, Wanted
from edgewright.hub.jobs.space import Space
from edgewright.hub.jobs.tables import Job
from edgewright.hub.jobs.telling import Teller
from edgewright.hub.state import State

T = TypeVar("T")
_LOG = logging.getLogger("edgewright.hub")
_FREE_S, _ROOM_S = 30.0, 5.0
_FAULT = "the hub could not do this; its log tells more. Retry the job"
_PATIENCE_S = 600.0
"""How long a database may be gone before a job that is done is handed back."""


@dataclass
class Run:
    """A job that this worker has by this ``claim``, or one that it ``helps``. ``wanted``: see ``running``."""

    claim: int = 0
    wanted: Wanted = ""
    lost: bool = False
    helps: bool = False


@dataclass
class Runs:
    """Which jobs this worker has, at most ``slots``."""

    slots: int
    leaving: bool = False
    _now: dict[str, Run] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def begin(self, job: str, claim: int = 0, helps: bool = False) -> Run | None:
        """Room for this job, None where there is none, or an earlier claim's run of it is not over. ``helps``: another
        worker has it, and it is only helped."""
        with self._lock:
            if job in self._now or len(self._now) >= self.slots or self.leaving:
                return None
            return self._now.setdefault(job, Run(claim, helps=helps))

    def of(self, job: str, claim: int) -> Run | None:
        """What was begun."""
        with self._lock:
            run = self._now.get(job)
            return run if run is not None and run.claim == claim else None

    def end(self, job: str, claim: int = 0) -> None:
        """It is over. Not so the run of a later claim: an end may be heard late."""
        with self._lock:
            if job in self._now and self._now[job].claim == claim:
                del self._now[job]

    def all(self) -> dict[str, Run]:
        """Now."""
        with self._lock:
            return dict(self._now)

    def make_room(self) -> bool:
        """Have whoever helps leave; whether anybody does."""
        with self._lock:
            helps = [run for run in self._now.values() if run.helps]
            for run in helps:
                run.wanted = "leave"
            return bool(helps)

    def leave(self) -> None:
        """Take no more, and hand back what there is."""
        with self._lock:
            self.leaving = True
            for run in self._now.values():
                run.wanted = "leave"


class Steps:
    """Of one worker."""

    def __init__(
        self, state: State, worker: str, able: Able, runs: Runs, memory_bytes: int, machine: Callable[[], str]
    ) -> None:  # fmt: skip
        self._state, self._worker, self._able, self._runs, self._memory = state, worker, able, runs, memory_bytes
        self._machine = machine
        self.space = Space(state.folder / "jobs")

    def work(self, tenant: str, job: str, claim: int) -> dict[str, Any]:
        """Do it. What came of it, as JSON: ``how`` is done, failed, cancelled, left or lost."""
        run = self._runs.of(job, claim) or self._runs.begin(job, claim) or self._instead_of_help(job, claim)
        if run is None:
            return {"how": "full"}
        try:
            return self._work(tenant, job, claim, run)
        except (SQLAlchemyError, Unavailable) as error:
            _LOG.warning("job %s: %s", job, told(error))
            return {"how": "left"}
        except DiskFull as error:
            return self._no_room(job, str(error))
        except Absent as error:
            return {"how": "failed", "reason": f"it was deleted meanwhile: {error}; ask for a new job"}
        except EdgewrightError as error:
            return {"how": "failed", "reason": f"{error}; then retry the job"}
        except OSError as error:
            if family(error) is DiskFull:
                return self._no_room(job, reason(error))
            return {"how": "failed", "reason": f"the worker's folder cannot be used: {reason(error)}; retry the job"}
        except Exception as error:  # noqa: BLE001 - a fault of ours: the log has all of it, the job its end
            _LOG.error("job %s failed", job, exc_info=error)
            return {"how": "failed", "reason": _FAULT}

    def _instead_of_help(self, job: str, claim: int) -> Run | None:
        """A job that comes of itself, from a worker that died, takes the place of help."""
        until = time.monotonic() + _ROOM_S
        while self._runs.make_room() and time.monotonic() < until:
            if run := self._runs.begin(job, claim):
                return run
            time.sleep(0.05)
        return self._runs.begin(job, claim)

    def end(self, tenant: str, job: str, claim: int, left: dict[str, Any]) -> None:
        """Write down what came of it; where that cannot be, it failed: done again it would come to the same."""
        try:
            self._patiently(lambda: self._settle(tenant, job, claim, left))
        except Exception as error:
            if _passes(error):
                raise
            _LOG.error("what came of job %s cannot be written down", job, exc_info=error)
            failed = {"how": "failed", "reason": _FAULT}
            self._patiently(lambda: self._settle(tenant, job, claim, failed))
        finally:
            self._runs.end(job, claim)

    def _work(self, tenant: str, job: str, claim: int, run: Run) -> dict[str, Any]:
        row = self._patiently(lambda: self._take(tenant, job, claim))
        if row is None:
            return {"how": "lost"}
        if self._able.lacks(row.needs):
            return {"how": "full"}
        folder = self._state.folder / "jobs" / tenant / row.content
        out = folder / "out"
        with storage(folder):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            remove(folder / "input")
            (folder / "input").mkdir()
        cache = Cache(self._state, tenant, row.content, out)
        kind = KINDS[row.kind]
        request = self._patiently(lambda: kind.place(self._state, tenant, row, folder))
        self._patiently(cache.fetch)
        _free(out)
        ended = self._child(tenant, job, claim, run, row, folder, cache, request)
        if ended.how != "lost":  # whoever has it now may have laid its own there
            remove(folder / "input")
        if ended.how == "done":
            return {"how": "done"} | self._patiently(lambda: kind.collect(self._state, tenant, out))
        if self.space.ended(ended):
            return self._no_room(job, ended.told)
        return _told(ended, row)

    def _no_room(self, job: str, found: str) -> dict[str, Any]:
        """It waits for room, here or elsewhere: that says nothing about the job."""
        why = self.space.ran_out()
        _LOG.warning("job %s: %s (%s)", job, why, found)
        return {"how": "left", "reason": why}

    def _child(
        self, tenant: str, job: str, claim: int, run: Run, row: Job, folder: Path, cache: Cache,
        request: dict[str, Any],
    ) -> Ended:  # fmt: skip
        teller = Teller(self._state, tenant, job, claim, self._worker)
        fanout = Fanout(self._state, tenant, job, self._worker, self._machine, cache)

        def said(line: dict[str, Any]) -> None:
            fanout.hear(line)
            if isinstance(line.get("progress"), dict):
                line["progress"] |= fanout.told()
            teller.say(line)

        def turn() -> Wanted:
            teller.tell()
            fanout.turn(child)
            try:
                cache.save()
            except (SQLAlchemyError, StorageError) as error:
                _LOG.warning("job %s: its measurements were not saved, and are again: %s", job, error)
            return "drop" if run.lost or teller.lost else run.wanted

        limit = 1.5 * float(row.wish["budget_s"]) + 900.0
        child = Child(folder, self._memory, said, turn, limit, lambda: not run.lost)
        try:
            ended = child.run(request)
        finally:
            with suppress(SQLAlchemyError, StorageError):  # they are not offered any more, and go within the hour
                fanout.close()
        teller.tell(now=True)
        if ended.how == "left":
            try:
                cache.save(now=True)
            except (SQLAlchemyError, StorageError) as error:
                _LOG.warning("job %s: its last measurements were not saved, and are again: %s", job, error)
        return Ended("lost") if run.lost or teller.lost else ended

    def _take(self, tenant: str, job: str, claim: int) -> Job | None:
        with self._state.database.write(tenant) as session:
            before = session.find(Job, job).worker
            row = take(session, job, claim, self._worker)
            if row is None or before == self._worker:
                return row
            if row.deaths >= MOST_DEATHS:
                hand_back(session, row, self._state.clock())
                return None
            move(session, row, row.state, self._state.clock())
            return row

    def _settle(self, tenant: str, job: str, claim: int, left: dict[str, Any]) -> None:
        how, now = left["how"], self._state.clock()
        if how == "done":
            with self._state.database.write(tenant) as session:
                kind = KINDS[session.find(Job, job).kind]
                adopt(session, job, claim, self._worker)
            if kind.settle(self._state, tenant, job, claim, self._worker, left):
                self._tidy(tenant, job)
            return
        with self._state.database.write(tenant) as session:
            # Where there was no room the claim is still the dead worker's.
            row = held(session, job, claim, self._worker) if how != "full" else take(session, job, claim, self._worker)
            if row is None or how == "lost":
                return
            if how in ("left", "full"):
                hand_back(session, row, now, why=left.get("reason", ""))
            else:
                move(session, row, how, now, left["reason"])

    def _tidy(self, tenant: str, job: str) -> None:
        """A job that is done goes on from nothing any more. Another of the same content may begin at any moment."""
        with self._state.database.write(tenant) as session:
            session.take_turn(CLAIMS)
            row = session.find(Job, job)
            if row.state != "done" or row.content in contents(session):
                return
            folder = self._state.folder / "jobs" / tenant / row.content
            aside = folder.with_name(f"{folder.name}.{self._worker}")
            with storage(folder):
                remove(aside)
                if folder.is_dir():
                    folder.replace(aside)
        remove(aside)

    def _patiently(self, work: Callable[[], T]) -> T:
        """``work``, again and again while the database or the store does not answer and this worker stays; without end
        while its disk is full, for then nothing could be handed back either."""
        until = time.monotonic() + _PATIENCE_S
        while True:
            try:
                return work()
            except (SQLAlchemyError, Unavailable) as error:
                if not _passes(error) or self._runs.leaving or (time.monotonic() > until and not no_room(error)):
                    raise
                time.sleep(1.0)


def _passes(error: BaseException) -> bool:
    """Whether it is a fault of the database or the store that may be over in a moment; one of values is not."""
    return isinstance(error, SQLAlchemyError | Unavailable) and not isinstance(error, DataError | IntegrityError)


def _free(out: Path) -> None:
    """Wait until the child of a worker that hung has ended. Raises Unavailable, StorageError."""
    until = time.monotonic() + _FREE_S
    while True:
        try:
            with exclusive(out):
                return
        except Unavailable:
            if time.monotonic() > until:
                raise
            time.sleep(0.25)


def _told(ended: Ended, row: Job) -> dict[str, Any]:
    """What became of a job that left nothing."""
    if ended.how in ("left", "lost"):
        return {"how": ended.how}
    if ended.how == "dropped":
        return {"how": "cancelled", "reason": "stopped; retry it to go on from what was measured"}
    if ended.how == "stopped":
        return {"how": "cancelled", "reason": "stopped before there was anything to keep; retry it to go on"}
    if ended.how == "late":
        told = f"it went far beyond its budget of {row.wish['budget_s']:g} s and was ended"
        return {"how": "failed", "reason": f"{told}; give it a longer budget or less data, then retry it"}
    if ended.how == "died":
        told = f"its process ended in the middle ({ended.told})"
        if ended.told.startswith("SIG"):
            return {"how": "failed", "reason": f"{told}; if memory was short, give the worker more, then retry the job"}
        return {"how": "failed", "reason": f"{told}: a fault of Edgewright's, which to retry the job will hardly mend"}
    # What it calls its files is the worker's own affair.
    return {"how": "failed", "reason": f"{ended.told.replace(f'{INPUT}/', '')}; then retry the job"}
