"""Trials: what the searches of running jobs will probably try next, as rows that any worker may take."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from sqlalchemy import delete, func, select

from edgewright.hub.database import EVERY, Scoped
from edgewright.hub.jobs.finding import by_worker
from edgewright.hub.jobs.rules import HELD, Able
from edgewright.hub.jobs.tables import Job, Trial, Worker
from edgewright.hub.state import State

OPEN, TAKEN, DONE = "open", "taken", "done"
_LOOKED_AT = 200


def of(session: Scoped, job: str) -> list[Trial]:
    """Its rows."""
    return list(session.scalars(select(Trial).where(Trial.job == job)))


def offer(session: Scoped, job: str, machine: str, wanted: Mapping[str, Mapping[str, Any]]) -> None:
    """Have the rows say what is ``wanted`` now, the nearest first. What is taken or done stays; what a worker that is
    gone had is open again."""
    rows = {row.key: row for row in of(session, job)}
    live = set(session.scalars(select(Worker.id).where(Worker.state == "live")))
    for row in rows.values():
        if row.state == TAKEN and row.worker not in live:
            row.state, row.worker = OPEN, None
        if row.state == OPEN and row.key not in wanted:
            session.delete(row)
    for number, (key, spec) in enumerate(wanted.items()):
        if key in rows:
            rows[key].number = number
        else:
            told = dict(spec)
            session.add(Trial(job=job, key=key, number=number, spec=told, machine=machine, state=OPEN, worker=None))


def withdraw(session: Scoped, job: str) -> None:
    """Nothing of it is wanted any more."""
    session.execute(delete(Trial).where(Trial.job == job))


def pick(state: State, able: Able, machine: Callable[[], str], but: Collection[str]) -> tuple[str, str] | None:
    """The job that this worker can help now, ``but`` these: tenant and id. The one with the fewest helpers."""
    with state.database.read(EVERY) as session:
        runs = (Job.tenant == Trial.tenant) & (Job.id == Trial.job) & Job.state.in_(HELD) & (Job.stop == "")
        waiting = select(Trial.tenant, Trial.job, Trial.spec, Trial.machine).join(Job, runs)
        waiting = waiting.where(Trial.state == OPEN).order_by(Trial.number).limit(_LOOKED_AT)
        found = {
            (tenant, job) for tenant, job, spec, computes in session.execute(waiting)
            if job not in but and spec["engine"] in able.engines and computes == machine()
        }  # fmt: skip
        if not found:
            return None
        taken = select(Trial.job, func.count()).where(Trial.state == TAKEN).group_by(Trial.job)
        helped: Mapping[str, int] = {row[0]: row[1] for row in session.execute(taken)}
    return min(found, key=lambda one: (helped.get(one[1], 0), one[1]))


def take(session: Scoped, job: str, worker: str, able: Able, machine: str) -> Trial | None:
    """The nearest trial of the job that is open and that this worker can do, now its own."""
    query = select(Trial).where(Trial.job == job, Trial.state == OPEN, Trial.machine == machine)
    for row in session.scalars(query.order_by(Trial.number).with_for_update(skip_locked=True)):
        if row.spec["engine"] in able.engines:
            row.state, row.worker = TAKEN, worker
            session.flush()
            return row
    return None


def finish(session: Scoped, job: str, key: str, worker: str) -> None:
    """What this worker had is done."""
    row = session.get(Trial, (session.tenant, job, key), with_for_update=True, populate_existing=True)
    if row is not None and row.worker == worker:
        row.state = DONE


def has(session: Scoped, job: str, key: str, worker: str) -> bool:
    """Whether what this worker took is still wanted."""
    row = session.get(Trial, (session.tenant, job, key))
    return row is not None and row.worker == worker


def helped_by(session: Scoped) -> dict[str, list[str]]:
    """By worker, the jobs whose trials it has."""
    query = select(Trial.worker, Trial.job).where(Trial.state == TAKEN).distinct().order_by(Trial.job)
    return by_worker(session.execute(query))


def give_back(session: Scoped, job: str, worker: str) -> None:
    """What this worker has and did not finish is open again."""
    for row in session.scalars(select(Trial).where(Trial.job == job, Trial.worker == worker, Trial.state == TAKEN)):
        row.state, row.worker = OPEN, None


def forget_trials(session: Scoped) -> None:
    """Remove those of searches that do not run, whose worker died."""
    held = select(Job.id).where(Job.state.in_(HELD))
    session.execute(delete(Trial).where(Trial.job.not_in(held)))


def company(state: State, worker: str) -> bool:
    """Whether anybody could help ``worker``: another that lives, or a free place of its own."""
    with state.database.read(EVERY) as session:
        live = select(Worker.id, Worker.slots).where(Worker.state == "live")
        slots: Mapping[str, int] = {row[0]: row[1] for row in session.execute(live)}
    return len(slots) > 1 or slots.get(worker, 1) > 1
