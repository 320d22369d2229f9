"""Finding: what jobs and workers there are, for whom it matters. Nothing is changed here."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import aliased

from edgewright.hub.database import EVERY, Scoped
from edgewright.hub.errors import Conflict
from edgewright.hub.jobs.rules import HELD, OVER, QUEUED, Able
from edgewright.hub.jobs.tables import Job, Worker
from edgewright.hub.state import State


def wishes(state: State, worker: str) -> dict[tuple[str, str], str]:
    """What is wanted of this worker's jobs now: (tenant, job) -> "", "keep" or "drop"."""
    with state.database.read(EVERY) as session:
        query = select(Job.tenant, Job.id, Job.stop).where((Job.worker == worker) & Job.state.in_(HELD))
        return {(tenant, job): stop for tenant, job, stop in session.execute(query)}


def claims(state: State) -> set[tuple[str, int]]:
    """Those that are held now, by anybody: (job, claim)."""
    with state.database.read(EVERY) as session:
        return {(job, claim_) for job, claim_ in session.execute(select(Job.id, Job.claim).where(Job.state.in_(HELD)))}


def living(session: Scoped) -> list[Worker]:
    """Workers that take jobs."""
    return list(session.scalars(select(Worker).where(Worker.state == "live").order_by(Worker.id)))


def count_jobs(session: Scoped, since: datetime) -> int:
    """For plans: optimizations that the tenant asked for since then."""
    query = select(func.count()).select_from(Job).where(Job.made >= since, Job.kind == "optimization")
    return session.scalar(query) or 0


def held_by(session: Scoped) -> dict[str, list[str]]:
    """By worker, the jobs that it has."""
    return by_worker(session.execute(select(Job.worker, Job.id).where(Job.state.in_(HELD)).order_by(Job.id)))


def by_worker(pairs: Iterable[Any]) -> dict[str, list[str]]:
    """Pairs of a worker and a job, by worker."""
    found: dict[str, list[str]] = {}
    for worker, job in pairs:
        found.setdefault(str(worker), []).append(job)
    return found


def goes_on(session: Scoped, job: str) -> bool:
    """Whether its search still runs, and nobody wants it stopped."""
    row = session.get(Job, (session.tenant, job))
    return row is not None and row.state in HELD and not row.stop


def needed(state: State, able: Able) -> bool:
    """Whether a job waits that this worker can do: jobs come before trials."""
    other = aliased(Job)  # of the same content: it waits until that one is over, for they share a folder
    same = (other.tenant == Job.tenant) & (other.content == Job.content) & other.state.in_(HELD)
    waiting = select(Job.needs).where(Job.state == QUEUED, ~select(other.id).where(same).exists()).distinct()
    with state.database.read(EVERY) as session:
        return any(not able.lacks(needs) for needs in session.scalars(waiting))


def check_unused(session: Scoped, versions: Collection[str], dataset: str = "") -> None:
    """For models: raises Conflict where a job that is not over still needs one of these ``versions``, or the
    ``dataset``."""
    query = select(Job.id, Job.kind, Job.version, Job.dataset, Job.wish).where(Job.state.not_in(OVER))
    for job, kind, version, data, wish in session.execute(query):
        subjects = {str(one.get("id")) for one in wish.get("subjects", ())}
        if (dataset and data == dataset) or version in versions or subjects & set(versions):
            raise Conflict(f"the {kind} {wish.get('benchmark', job)} still needs it; cancel that, or let it end first")
