"""The queue: jobs as rows, taken by workers, handed back, ended. Each function is one step of a transaction."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, func, select

from edgewright.hub.database import EVERY, Scoped
from edgewright.hub.events import emit
from edgewright.hub.ids import new_id
from edgewright.hub.jobs.rules import (
    HELD,
    MOST_DEATHS,
    MOST_WAITING,
    OVER,
    QUEUED,
    RUNNING,
    STOPPING,
    Able,
    Turn,
    turns,
)
from edgewright.hub.jobs.tables import Job, Worker
from edgewright.hub.state import State
from edgewright.hub.web.problems import Problem

CLAIMS = "claims"
"""The turn of those who begin a job, or clear away what one left."""


def add(
    session: Scoped, kind: str, wish: Mapping[str, Any], needs: Mapping[str, Any], content: str, by: str,
    now: datetime, *, version: str = "", dataset: str = "", target: str = "host", profile: str = "", priority: int = 0,
) -> Job:  # fmt: skip
    """A new job, queued in the caller's transaction. Ask ``room`` first."""
    job = Job(
        id=new_id("job"), kind=kind, state=QUEUED, reason="", version=version, dataset=dataset, target=target,
        profile=profile, wish=dict(wish), needs=dict(needs), content=content, priority=priority,
        progress=begun(float(wish["budget_s"])), result=None, report="", page="", stop="", worker=None, claim=0,
        attempts=0, deaths=0, by=by, made=now, queued=now, began=None, ended=None,
    )  # fmt: skip
    session.add(job)
    session.flush()
    move(session, job, QUEUED, now)
    return job


def begun(budget_s: float) -> dict[str, Any]:
    """The progress of a job that did not begin."""
    return {"stage": "", "tried": 0, "elapsed_s": 0.0, "left_s": budget_s, "best": None, "baseline": None,
            "helpers": 0, "helped": 0}  # fmt: skip


def room(session: Scoped, more: int) -> None:
    """Raises Problem when so many more may not wait."""
    waiting = session.scalar(select(func.count()).select_from(Job).where(Job.state == QUEUED)) or 0
    if waiting + more > MOST_WAITING:
        raise Problem("too-many-requests", f"{waiting} jobs wait already, at most {MOST_WAITING} may; cancel some, or "
                      "start another worker: edgewright hub worker", {"Retry-After": "60"})  # fmt: skip


def stop(session: Scoped, job: Job, keep: bool, now: datetime) -> bool:
    """Have it stopped; False when it is over already."""
    if job.state == QUEUED:
        move(session, job, "cancelled", now, "cancelled before it began; retry it to queue it again")
    elif job.state in HELD:
        job.stop = "keep" if keep and job.stop != "drop" else "drop"
        move(session, job, STOPPING, now)
    else:
        return False
    return True


def move(session: Scoped, job: Job, state: str, now: datetime, reason: str = "") -> None:
    """Into another state, and tell those who watch. Call it late."""
    job.state, job.reason = state, reason
    if state in OVER:
        job.ended, job.worker, job.stop = now, None, ""
    elif state == QUEUED:
        job.queued, job.worker = now, None
    session.flush()
    told = {"state": state, "reason": reason, "worker": job.worker, "attempts": job.attempts}
    if job.kind == "benchmark":  # what it measured is long, and asked for where it is shown
        emit(session, "benchmark.state", job.wish["benchmark"], {"job": job.id, **told}, now)
    elif job.kind == "profile":
        emit(session, "model.profile", job.version, {"job": job.id, **told}, now)
    else:
        emit(session, "job.state", job.id, {**told, "result": job.result}, now)


def claim(state: State, worker: str, able: Able) -> tuple[str, str, int] | None:
    """The next job that this worker can do, now its own: tenant, id, claim. None when nothing waits for it."""
    now = state.clock()
    for tenant in _order(state):
        with state.database.write(tenant) as session:
            job = _next(session, able)
            if job is None:
                continue
            job.claim, job.worker, job.began = job.claim + 1, worker, now
            move(session, job, RUNNING, now)
            return tenant, job.id, job.claim
    return None


def _next(session: Scoped, able: Able) -> Job | None:
    """The first that waits which ``able`` can do, locked; of one content, one at a time."""
    session.take_turn(CLAIMS)
    busy = contents(session)
    waiting = select(Job.id, Job.content, Job.needs).where(Job.state == QUEUED)  # at most MOST_WAITING
    for id_, content, needs in session.execute(waiting.order_by(Job.priority.desc(), Job.id)):
        if content not in busy and not able.lacks(needs):
            row = session.get(Job, (session.tenant, id_), with_for_update=True, populate_existing=True)
            if row is not None and row.state == QUEUED:  # nobody cancelled it meanwhile
                return row
    return None


def contents(session: Scoped) -> set[str]:
    """What is worked at now: jobs of one content share a folder. Take the turn ``CLAIMS`` first."""
    return set(session.scalars(select(Job.content).where(Job.state.in_(HELD))))


def _order(state: State) -> list[str]:
    with state.database.read(EVERY) as session:
        waiting = session.scalars(select(Job.tenant).where(Job.state == QUEUED).distinct()).all()
        if not waiting:
            return []
        counted = select(Job.tenant, func.count()).where(Job.state.in_(HELD)).group_by(Job.tenant)
        running: Mapping[str, int] = {row[0]: row[1] for row in session.execute(counted)}
        last = select(Job.tenant, func.max(Job.began)).where(Job.tenant.in_(waiting)).group_by(Job.tenant)
        served: Mapping[str, datetime | None] = {row[0]: row[1] for row in session.execute(last)}
    found = ((tenant, served.get(tenant)) for tenant in waiting)
    return turns(Turn(one, running.get(one, 0), 0.0 if at is None else at.timestamp()) for one, at in found)


def held(session: Scoped, job: str, claim_: int, worker: str) -> Job | None:
    """The job's row, locked, while this claim of it holds and this worker has it; None when another has."""
    row = session.get(Job, (session.tenant, job), with_for_update=True, populate_existing=True)
    ours = row is not None and row.claim == claim_ and row.state in HELD and row.worker == worker
    return row if ours else None


def take(session: Scoped, job: str, claim_: int, worker: str) -> Job | None:
    """The same at the beginning of the work; a claim whose worker died is taken over. None: it holds no more."""
    row = session.get(Job, (session.tenant, job), with_for_update=True, populate_existing=True)
    if row is None or row.claim != claim_ or row.state not in HELD:
        return None
    if row.worker != worker:
        row.deaths += 1
        row.worker = worker
    row.attempts += 1
    return row


def adopt(session: Scoped, job: str, claim_: int, worker: str) -> None:
    """At the end of the work: a claim whose worker died when all but the end was done is this worker's now."""
    row = session.get(Job, (session.tenant, job), with_for_update=True, populate_existing=True)
    if row is not None and row.claim == claim_ and row.state in HELD and row.worker not in (None, worker):
        had = session.get(Worker, row.worker)
        if had is None or had.state in ("lost", "gone"):
            row.worker = worker
            session.flush()


def hand_back(session: Scoped, job: Job, now: datetime, died: bool = False, why: str = "") -> None:
    """Into the queue again, where its place is what it was; ``why`` is told there. What was wanted of it (``stop``) is
    done at once; one that ended too many workers has failed."""
    job.deaths += died
    if job.stop:
        move(session, job, "cancelled", now, "stopped; retry it to go on from what was measured")
    elif job.deaths >= MOST_DEATHS:
        told = f"{job.deaths} workers died in the middle of it; look at their memory and logs, then retry it"
        move(session, job, "failed", now, told)
    else:
        move(session, job, QUEUED, now, why)


def left_behind(state: State, workers: Collection[str], kept: Collection[str] = ()) -> int:
    """Hand back what these workers have, but for the ``kept``; how many."""
    if not workers:
        return 0
    with state.database.read(EVERY) as session:
        found = session.execute(select(Job.tenant, Job.id).where(_of(workers))).all()
    count = 0
    for tenant, job in found:
        if job in kept:
            continue
        with state.database.write(tenant) as session:
            row = session.get(Job, (tenant, job), with_for_update=True, populate_existing=True)
            if row is not None and row.worker in workers and row.state in HELD:
                hand_back(session, row, state.clock(), died=True)
                count += 1
    return count


def _of(workers: Collection[str]) -> ColumnElement[bool]:
    return Job.worker.in_(workers) & Job.state.in_(HELD)
