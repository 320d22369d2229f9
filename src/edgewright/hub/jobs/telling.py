"""What a running job says, as rows and events: progress some times a second, each candidate when it is measured. While
the database does not answer it is kept, and told when it does."""

from __future__ import annotations

import logging
import re
import time
from typing import Any, TypeGuard

from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError

from edgewright.core.digests import canonical_json
from edgewright.core.errors import StorageError
from edgewright.hub.database import Scoped, told
from edgewright.hub.events import emit
from edgewright.hub.jobs.queue import held
from edgewright.hub.jobs.tables import Candidate
from edgewright.hub.state import State

_PROGRESS_S, _CANDIDATE_S = 0.3, 0.05
_AGAIN_S = 1.0
_MOST, _ENTRY_BYTES = 2000, 2**18
_ID = re.compile("[0-9a-f]{12}")
_LOG = logging.getLogger("edgewright.hub")


class Teller:
    """Of one job. ``lost``: this worker has it no more."""

    def __init__(self, state: State, tenant: str, job: str, claim: int, worker: str) -> None:
        self._state, self._tenant, self._job = state, tenant, job
        self._claim, self._worker = claim, worker
        self._progress: dict[str, Any] | None = None
        self._candidates: dict[str, dict[str, Any]] = {}
        self._told = self._next = 0.0
        self.lost = False
        self.measured = 0
        """Candidates that were told in this run."""

    def say(self, line: dict[str, Any]) -> None:
        """A line of the child's; what does not fit is passed over."""
        progress, entry = line.get("progress"), line.get("candidate")
        if isinstance(progress, dict) and _sound(progress):
            self._progress = progress
        if sound_candidate(entry):
            self._candidates[entry["id"]] = entry
            self.measured += 1
            self.tell(now=time.monotonic() - self._told > _CANDIDATE_S)

    def tell(self, now: bool = False) -> None:
        """Write what is due (``now``: all there is)."""
        clock = time.monotonic()
        if (clock < self._next and not now) or (self._progress is None and not self._candidates):
            return
        self._told, self._next = clock, clock + _PROGRESS_S
        try:
            with self._state.database.write(self._tenant) as session:
                self._write(session)
        except (SQLAlchemyError, StorageError) as error:
            self._next = clock + _AGAIN_S
            _LOG.warning("job %s cannot be told, and is told again: %s", self._job, told(error))
        else:
            self._progress, self._candidates = None, {}

    def _write(self, session: Scoped) -> None:
        row = held(session, self._job, self._claim, self._worker)
        if row is None:
            self.lost = True
            return
        now = self._state.clock()
        if self._progress is not None:
            row.progress = self._progress
        told = enter(session, self._job, self._candidates)
        for candidate in told:
            emit(session, "job.candidate", self._job, {"number": candidate.number, "candidate": candidate.told}, now)
        if self._progress is not None:
            emit(session, "job.progress", self._job, self._progress, now)


def enter(session: Scoped, job: str, entries: dict[str, dict[str, Any]]) -> list[Candidate]:
    """Rows of these candidates; those that are new or were changed."""
    rows = {row.id: row for row in session.scalars(select(Candidate).where(Candidate.job == job))} if entries else {}
    last = session.scalar(select(func.max(Candidate.number)).where(Candidate.job == job)) or 0 if entries else 0
    changed = []
    for id_, entry in entries.items():
        row = rows.get(id_)
        if row is None:
            if last >= _MOST:
                continue
            last += 1
            row = Candidate(job=job, id=id_, number=last, told=entry)
            session.add(row)
        elif row.told == entry:
            continue
        row.told = entry
        changed.append(row)
    session.flush()
    return changed


def sound_candidate(entry: Any) -> TypeGuard[dict[str, Any]]:
    """Whether it can be a row: it was told by a process that read strangers' files."""
    return (
        isinstance(entry, dict)
        and isinstance(id_ := entry.get("id"), str)
        and bool(_ID.fullmatch(id_))
        and _sound(entry)
    )


def _sound(value: dict[str, Any]) -> bool:
    """Small, and without what a database does not take."""
    told = canonical_json(value)
    return len(told) <= _ENTRY_BYTES and b"\\u0000" not in told and b"\0" not in told
