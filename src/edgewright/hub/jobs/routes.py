"""Routes of jobs and workers."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query, Response
from fastapi.responses import StreamingResponse

from edgewright.core.errors import InputError
from edgewright.hub.accounts.access import Caller, may
from edgewright.hub.errors import Absent, Conflict
from edgewright.hub.jobs import wishes
from edgewright.hub.jobs.asking import able, optimization, queued, shown
from edgewright.hub.jobs.finding import held_by
from edgewright.hub.jobs.inputs import inputs
from edgewright.hub.jobs.queue import begun, move, room, stop
from edgewright.hub.jobs.rules import AGAIN, QUEUED
from edgewright.hub.jobs.tables import Candidate, Job, Worker
from edgewright.hub.jobs.told import (
    BatchTold,
    CancelJob,
    CandidateTold,
    JobTold,
    NewBatch,
    NewOptimization,
    State,
    WorkerTold,
)
from edgewright.hub.jobs.trials import helped_by
from edgewright.hub.objects import objects
from edgewright.hub.web.bodies import Id, Router
from edgewright.hub.web.paging import Page, PageQuery, paged

router = Router(prefix="/api/edge", tags=["jobs"])
Reads = Annotated[Caller, may("jobs.read")]
Writes = Annotated[Caller, may("jobs.write")]
MOST_IN_BATCH = 100
_PAGE_RULES = (
    "sandbox allow-scripts; default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:"
)
"""A report's page is made of names that strangers chose: it is shown apart from everything else of this origin."""


@router.post("/optimization-jobs", status_code=201)
def make(body: NewOptimization, caller: Writes) -> JobTold:
    """Start a search. It waits until a worker that can do it has room."""
    wishes.check(body.wish())
    with caller.write() as session:
        (job,) = queued(caller, session, body.wish(), [(body.version, body.target)], body.dataset)
        return caller.reply(session, shown(session, job), 201)


@router.post("/optimization-jobs/batch", status_code=201)
def make_batch(body: NewBatch, caller: Writes) -> BatchTold:
    """Start the same search for several versions and targets: all of them, or none."""
    pairs = [(version, target) for version in dict.fromkeys(body.versions) for target in dict.fromkeys(body.targets)]
    if len(pairs) > MOST_IN_BATCH:
        raise InputError(f"that would be {len(pairs)} jobs; a batch has at most {MOST_IN_BATCH}")
    wishes.check(body.wish())
    with caller.write() as session:
        jobs = queued(caller, session, body.wish(), pairs, body.dataset)
        return caller.reply(session, BatchTold(jobs=[shown(session, job) for job in jobs]), 201)


@router.get("/optimization-jobs", response_model=Page[JobTold])
def jobs(
    caller: Reads, page: PageQuery, state: State | None = None,
    version: Annotated[Id | None, Query(description="of this version")] = None,
) -> Response:  # fmt: skip
    """The tenant's optimization jobs, newest first."""
    where = [Job.kind == "optimization"]
    where += [] if state is None else [Job.state == state]
    where += [] if version is None else [Job.version == version]
    with caller.read() as session:
        return paged(session, JobTold, Job.id, page, *where, newest_first=True, given=(able(session),))


@router.get("/optimization-jobs/{job}")
def show(job: Id, caller: Reads) -> JobTold:
    """One job: where it is, and what came of it."""
    with caller.read() as session:
        return shown(session, optimization(session, job))


@router.post("/optimization-jobs/{job}/cancel")
def cancel(job: Id, body: CancelJob, caller: Writes) -> JobTold:
    """Stop a job. One that runs ends within moments; with `keep` it hands back the best so far."""
    with caller.write() as session:
        row = optimization(session, job, lock=True)
        if not stop(session, row, body.keep, caller.now):
            raise Conflict(f"this job is {row.state} already")
        caller.tell(session, "job.cancelled", job, {"keep": body.keep})
        return caller.reply(session, shown(session, row))


@router.post("/optimization-jobs/{job}/retry")
def retry(job: Id, caller: Writes) -> JobTold:
    """Queue a job again. What it measured before is not measured again."""
    with caller.write() as session:
        row = optimization(session, job, lock=True)
        if row.state not in AGAIN:
            raise Conflict(f"this job is {row.state}; only one that failed, found nothing or was cancelled goes again")
        room(session, 1)
        inputs(caller.state).version(session, row.version)
        inputs(caller.state).dataset(session, row.dataset)
        row.deaths, row.ended, row.result, row.stop = 0, None, None, ""
        row.progress = begun(float(row.wish["budget_s"]))
        move(session, row, QUEUED, caller.now)
        caller.tell(session, "job.retried", job)
        return caller.reply(session, shown(session, row))


@router.get("/optimization-jobs/{job}/candidates", response_model=Page[CandidateTold])
def candidates(job: Id, caller: Reads, page: PageQuery) -> Response:
    """All that a job measured so far, in that order. While it runs the figures are those of the search; at its end, the
    report's."""
    with caller.read() as session:
        optimization(session, job)
        return paged(session, CandidateTold, Candidate.number, page, Candidate.job == job)


@router.get(
    "/optimization-jobs/{job}/report",
    response_class=StreamingResponse,
    responses={200: {"content": {"application/json": {"schema": {"type": "object"}}}}},
)
def report(job: Id, caller: Reads) -> StreamingResponse:
    """A job's report.json."""
    return _file(caller, job, "report", "application/json")


@router.get(
    "/optimization-jobs/{job}/report.html",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/html": {"schema": {"type": "string"}}}}},
)
def report_page(job: Id, caller: Reads) -> StreamingResponse:
    """A job's report as a page."""
    return _file(caller, job, "page", "text/html; charset=utf-8", {"Content-Security-Policy": _PAGE_RULES})


@router.get("/workers", response_model=Page[WorkerTold])
def workers(caller: Reads, page: PageQuery) -> Response:
    """Processes that do jobs, with those of yours that they have, and those whose searches they help."""
    with caller.read() as session:
        given = (held_by(session), helped_by(session))
        return paged(session, WorkerTold, Worker.id, page, Worker.state != "gone", given=given)


def _file(caller: Caller, job: str, which: str, media: str, headers: dict[str, str] | None = None) -> StreamingResponse:
    with caller.read() as session:
        row = optimization(session, job)
    digest, _, length = str(getattr(row, which)).partition("/")
    if not digest:
        raise Absent(f"job {job!r} has no report yet; it comes when the job is done")
    pieces = objects(caller.state).pieces(caller.tenant, f"reports/{digest}", 0, int(length))
    return StreamingResponse(pieces, media_type=media, headers={"Content-Length": length, **(headers or {})})
