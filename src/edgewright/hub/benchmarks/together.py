"""Together: what was measured of several versions in one run, so that it may be held side by side.

Figures of different runs are not: another machine, or the same one at another hour, is another yardstick. Two kinds of
runs have several versions in them: a benchmark of them, and the search that one of them was kept from, which measured
the version it began with as well, and is the only one that judged them on data.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import select

from edgewright.hub.benchmarks.finding import places
from edgewright.hub.benchmarks.tables import Benchmark
from edgewright.hub.benchmarks.told import RunTold, SeenTold
from edgewright.hub.database import Scoped
from edgewright.hub.jobs.tables import Candidate, Job
from edgewright.hub.models.tables import Version

_LOOKED = 200
_MOST = 8


def together(session: Scoped, versions: Sequence[Version], now: datetime) -> list[RunTold]:
    """Runs in which at least two of them were measured: of each place the latest, what has most of them and then what
    is newest first."""
    found = [*_searches(session, versions), *_benchmarks(session, [one.id for one in versions], now)]
    found.sort(key=lambda run: run.made, reverse=True)
    latest = dict[tuple[str, str], RunTold]()
    for run in found:
        latest.setdefault((run.kind, run.place), run)
    return sorted(latest.values(), key=lambda run: -_many(run.seen))[:_MOST]


def _many(seen: Sequence[SeenTold | None]) -> int:
    return sum(one is not None for one in seen)


def _searches(session: Scoped, versions: Sequence[Version]) -> Iterator[RunTold]:
    for kept in versions:
        job = session.get(Job, (session.tenant, kept.job)) if kept.job else None
        if job is None or job.result is None or job.ended is None or job.version not in {one.id for one in versions}:
            continue
        began = (job.progress.get("baseline") or {}).get("id")
        roles = {job.version: began, kept.id: job.result.get("best")}
        rows = select(Candidate).where(Candidate.job == job.id, Candidate.id.in_(set(roles.values()) - {None}))
        told = {row.id: row.told for row in session.scalars(rows)}
        seen = [_judged(told.get(roles.get(one.id) or "")) for one in versions]
        if _many(seen) > 1:
            yield RunTold(kind="search", id=job.id, name="", place=job.target, made=job.made, seen=seen)


def _judged(entry: Mapping[str, Any] | None) -> SeenTold | None:
    if entry is None:
        return None
    return SeenTold(engine=str(entry["engine"]), metrics=entry["metrics"], ratio=None)


def _benchmarks(session: Scoped, versions: Sequence[str], now: datetime) -> Iterator[RunTold]:
    rows = session.scalars(select(Benchmark).order_by(Benchmark.id.desc()).limit(_LOOKED)).all()
    of = {row.id: row for row in rows if len({one["id"] for one in row.subjects} & set(versions)) > 1}
    where = places(session, {row.id: row.job for row in of.values()}, now, results=True) if of else {}
    for benchmark, parts in where.items():
        row = of[benchmark]
        first = row.subjects[0]["id"] == versions[0]
        for part in parts:
            measured = {one["subject"]: one for one in (part["result"] or {}).get("subjects", ())}
            seen = [_timed(measured.get(version), first) for version in versions]
            if part["state"] == "done" and _many(seen) > 1:
                yield RunTold(kind="benchmark", id=row.id, name=row.name, place=part["name"], made=row.made, seen=seen)


def _timed(one: Mapping[str, Any] | None, first: bool) -> SeenTold | None:
    if one is None or one["why"]:
        return None
    return SeenTold(
        engine=one["engine"], metrics=one["metrics"], ratio=one["ratio"] if first and one["ratio"] else None
    )
