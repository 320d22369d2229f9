"""Finding: what became of benchmarks, from where it was done."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import defer

from edgewright.hub.accounts.tables import Entry
from edgewright.hub.database import Scoped
from edgewright.hub.fleet import benchmarks as fleet
from edgewright.hub.fleet.presence import ONLINE
from edgewright.hub.fleet.tables import Device, DeviceBenchmark
from edgewright.hub.jobs.finding import living
from edgewright.hub.jobs.rules import Able, measured_again, nobody
from edgewright.hub.jobs.tables import Job, Worker

_OVER = ("done", "failed", "cancelled")


def places(
    session: Scoped, asked: Mapping[str, str], now: datetime, results: bool = False
) -> dict[str, list[dict[str, Any]]]:
    """Where each of these benchmarks (``asked``: id and job, "" for none) is measured, by its id, and with ``results``
    what came of it; the hub's first."""
    found: dict[str, list[dict[str, Any]]] = {benchmark: [] for benchmark in asked}
    jobs = {job: benchmark for benchmark, job in asked.items() if job}
    workers = {worker.id: worker.host for worker in session.scalars(select(Worker))} if jobs else {}
    able = [Able.of(one.engines) for one in living(session)] if jobs else []
    query = select(Job).where(Job.id.in_(jobs))
    for job in session.scalars(query if results else query.options(defer(Job.result))) if jobs else ():
        waits = nobody(job.needs, able) if job.state == "queued" else ""
        name = str(job.progress.get("host", "")) or workers.get(job.worker or "", "")
        found[jobs[job.id]].append(
            {"kind": "hub", "name": name, "state": job.state, "reason": waits or measured_again(job.reason)}
            | ({"result": job.result} if results else {})
        )
    parts = fleet.parts(session, list(found), results)
    silent = _silent(session, parts, now)
    for part in parts:
        waits = "it is not heard of now; it measures when it is" if part.state == "asked" else ""
        waits = "another benchmark is before it" if part.state == "waiting" else waits if part.device in silent else ""
        found[part.benchmark].append(
            {"kind": "device", "name": part.device, "state": part.state, "reason": part.reason or waits}
            | ({"result": part.result} if results else {})
        )
    return found


def state_of(parts: Iterable[dict[str, Any]]) -> str:
    """Of the benchmark, from its places."""
    states = {part["state"] for part in parts}
    if not states <= set(_OVER):
        return "running"
    return next((state for state in _OVER if state in states), "failed")


def count(session: Scoped, since: datetime) -> int:
    """For plans: benchmarks that the tenant asked for since then, those that were removed from the history, too."""
    asked = select(func.count()).select_from(Entry).where(Entry.action == "benchmark.made", Entry.at >= since)
    return session.scalar(asked) or 0


def _silent(session: Scoped, parts: Iterable[DeviceBenchmark], now: datetime) -> set[str]:
    names = {part.device for part in parts if part.state == "asked"}
    if not names:
        return set()
    heard = Device.seen.is_not(None) & (Device.seen > now - ONLINE)
    return names - set(session.scalars(select(Device.name).where(Device.name.in_(sorted(names)), heard)))
