"""Routes of benchmarks."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query, Response
from sqlalchemy import delete

from edgewright.hub.accounts.access import Caller, may
from edgewright.hub.benchmarks.asking import begin
from edgewright.hub.benchmarks.finding import places, state_of
from edgewright.hub.benchmarks.tables import Benchmark
from edgewright.hub.benchmarks.together import together
from edgewright.hub.benchmarks.told import BenchmarkTold, BenchmarkWhole, NewBenchmark, Together
from edgewright.hub.database import Scoped
from edgewright.hub.errors import Conflict
from edgewright.hub.fleet import benchmarks as fleet
from edgewright.hub.fleet.news import news
from edgewright.hub.fleet.tables import DeviceBenchmark
from edgewright.hub.jobs.queue import stop
from edgewright.hub.jobs.tables import Job
from edgewright.hub.models import find_version
from edgewright.hub.web.bodies import Id, Router
from edgewright.hub.web.paging import Page, PageQuery, answered, read_page
from edgewright.hub.web.reading import fields

router = Router(prefix="/api/edge/benchmarks", tags=["benchmarks"])
Reads = Annotated[Caller, may("benchmarks.read")]
Writes = Annotated[Caller, may("benchmarks.write")]
_FIELDS = ("id", "name", "subjects", "seconds", "seed", "by", "made")


@router.post("", status_code=201)
def make(body: NewBenchmark, caller: Writes) -> BenchmarkWhole:
    """Measure versions and bundles side by side: on a worker of the hub, on devices, or both. What is measured at one
    place is one interleaved run there, so that its ratios hold whatever else the machine does."""
    with caller.write() as session:
        row = begin(caller, session, body)
        told = caller.reply(session, _whole(caller, session, row), 201)
    news(caller.state).ring()
    return told


@router.get("", response_model=Page[BenchmarkTold])
def benchmarks(caller: Reads, page: PageQuery) -> Response:
    """The tenant's benchmarks, newest first."""
    with caller.read() as session:
        rows, following = read_page(session, BenchmarkTold, Benchmark.id, page, newest_first=True)
        there = places(session, {row["id"]: row["job"] for row in rows}, caller.now)
    return answered(fields(BenchmarkTold, rows, there), following)


@router.get("/together")
def side_by_side(of: Annotated[list[Id], Query(min_length=2, max_length=8)], caller: Reads) -> Together:
    """What was measured of two to eight versions in one run: by benchmarks, and by the searches they were kept from."""
    with caller.read() as session:
        return Together(runs=together(session, [find_version(session, one) for one in of], caller.now))


@router.get("/{benchmark}")
def show(benchmark: Id, caller: Reads) -> BenchmarkWhole:
    """One benchmark, with what was measured until now."""
    with caller.read() as session:
        return _whole(caller, session, session.find(Benchmark, benchmark))


@router.post("/{benchmark}/cancel")
def cancel(benchmark: Id, caller: Writes) -> BenchmarkWhole:
    """Stop a benchmark wherever it still runs or waits; what was measured stays."""
    with caller.write() as session:
        row = session.lock(Benchmark, benchmark)
        stopped = fleet.drop(session, row.id, caller.now)
        stopped += stop(session, session.lock(Job, row.job), keep=False, now=caller.now) if row.job else 0
        if not stopped:
            raise Conflict("this benchmark is over already")
        caller.tell(session, "benchmark.cancelled", benchmark)
        told = caller.reply(session, _whole(caller, session, row))
    news(caller.state).ring()
    return told


@router.delete("/{benchmark}", status_code=204)
def remove(benchmark: Id, caller: Writes) -> None:
    """Remove a benchmark from the history."""
    with caller.write() as session:
        row = session.lock(Benchmark, benchmark)
        if state_of(places(session, {row.id: row.job}, caller.now)[row.id]) == "running":
            raise Conflict("it is being measured; cancel it first")
        session.execute(delete(DeviceBenchmark).where(DeviceBenchmark.benchmark == row.id))
        if row.job:
            session.delete(session.lock(Job, row.job))
        session.delete(row)
        caller.tell(session, "benchmark.removed", benchmark, {"name": row.name})


def _whole(caller: Caller, session: Scoped, row: Benchmark) -> BenchmarkWhole:
    return BenchmarkWhole.of(row, places(session, {row.id: row.job}, caller.now, results=True))
