"""Tables of jobs, and of the workers that do them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Index, Text
from sqlalchemy.orm import Mapped, mapped_column

from edgewright.hub.database import Base, Document, HubRow, TenantRow


class Job(Base, TenantRow):
    """Something to be done by a worker. ``profile``: the text of its target's file ("": one that ships);
    ``wish``: as it was asked for, with ``only`` where one candidate of an earlier job is made alone; ``needs``: what a
    worker must have for it; ``content``: the digest of all that its results depend on, under which its measurements
    are kept.

    ``claim`` counts how often a worker took it from the queue, and names the durable workflow; ``worker`` has it now;
    ``attempts``: how often its work was begun; ``deaths``: how many workers died in the middle of it. ``stop``: "keep"
    or "drop" once somebody wants it stopped. ``report``, ``page``: digests of objects; ``ended`` also when cancelled.
    """

    __tablename__ = "jobs"
    __table_args__ = (
        Index("ix_jobs_tenant_state", "tenant", "state", "priority", "id"),
        Index("ix_jobs_tenant_version", "tenant", "version"),
        Index("ix_jobs_worker", "worker", "state"),
    )
    id: Mapped[str] = mapped_column(primary_key=True)
    kind: Mapped[str]
    state: Mapped[str]
    reason: Mapped[str]
    version: Mapped[str]
    dataset: Mapped[str]
    target: Mapped[str]
    profile: Mapped[str] = mapped_column(Text, default="")
    wish: Mapped[dict[str, Any]]
    needs: Mapped[dict[str, Any]]
    content: Mapped[str]
    priority: Mapped[int]
    progress: Mapped[dict[str, Any]]
    result: Mapped[dict[str, Any] | None] = mapped_column(Document)
    report: Mapped[str]
    page: Mapped[str]
    stop: Mapped[str]
    worker: Mapped[str | None]
    claim: Mapped[int]
    attempts: Mapped[int]
    deaths: Mapped[int]
    by: Mapped[str]
    made: Mapped[datetime]
    queued: Mapped[datetime]
    began: Mapped[datetime | None]
    ended: Mapped[datetime | None]


class Candidate(Base, TenantRow):
    """A candidate that a job measured, as its report has it. ``number`` counts from 1 in the order of measuring."""

    __tablename__ = "candidates"
    job: Mapped[str] = mapped_column(primary_key=True)
    id: Mapped[str] = mapped_column(primary_key=True)
    number: Mapped[int]
    told: Mapped[dict[str, Any]]


class Trial(Base, TenantRow):
    """A candidate that a job's search will probably try, for any worker to build and judge before its turn comes.
    ``key`` names the ``spec``; ``number``: the nearest has the least; ``machine``: how it must compute, so that the
    search can use what comes of it; ``state``: open, taken (``worker`` has it) or done."""

    __tablename__ = "trials"
    __table_args__ = (Index("ix_trials_state", "state", "machine"),)
    job: Mapped[str] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    number: Mapped[int]
    spec: Mapped[dict[str, Any]]
    machine: Mapped[str]
    state: Mapped[str]
    worker: Mapped[str | None]


class JobKey(Base, TenantRow):
    """The key under which the hub seals what its jobs make for the tenant. ``sealed``: the private half, for the hub's
    safe alone."""

    __tablename__ = "job_keys"
    public: Mapped[str]
    sealed: Mapped[str]
    made: Mapped[datetime]


class Saved(Base, TenantRow):
    """Measurements of a job (by ``content``) in the store of objects, for a worker on another machine."""

    __tablename__ = "saved"
    content: Mapped[str] = mapped_column(primary_key=True)
    object: Mapped[str] = mapped_column(primary_key=True)
    made: Mapped[datetime]


class Worker(Base, HubRow):
    """A process that does jobs. ``beat`` rises every few seconds while it lives; ``state``: live, leaving (takes no
    more), lost (its work is taken over), gone (it ended as it should). ``slots``: jobs at a time."""

    __tablename__ = "job_workers"
    id: Mapped[str] = mapped_column(primary_key=True)
    host: Mapped[str]
    engines: Mapped[list[str]]
    accelerators: Mapped[list[str]]
    cores: Mapped[int]
    memory_bytes: Mapped[int]
    slots: Mapped[int]
    release: Mapped[str]
    beat: Mapped[int]
    seen: Mapped[datetime]
    state: Mapped[str]
    lost: Mapped[datetime | None]
    made: Mapped[datetime]
