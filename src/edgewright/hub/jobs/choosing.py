"""Choosing: another candidate of a search than the search's own choice, made and judged alone by a job of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import Response
from pydantic import ConfigDict, Field, StringConstraints
from sqlalchemy import select

from edgewright.hub.accounts.access import Caller, may
from edgewright.hub.database import Scoped
from edgewright.hub.errors import Absent, Conflict
from edgewright.hub.jobs import wishes
from edgewright.hub.jobs.asking import optimization, queued, shown
from edgewright.hub.jobs.inputs import inputs
from edgewright.hub.jobs.rules import AGAIN
from edgewright.hub.jobs.tables import Candidate, Job
from edgewright.hub.jobs.told import JobTold, SearchLimits
from edgewright.hub.library.tables import Bundle
from edgewright.hub.web.bodies import Body, Id, Router

router = Router(prefix="/api/edge/optimization-jobs", tags=["jobs"])


class NewChoice(Body):
    """``candidate``: one that the job measured, or its original; ``limits``: within which it is judged (null: the
    job's own)."""

    candidate: Annotated[str, StringConstraints(pattern="^[0-9a-f]{12}$")]
    limits: Annotated[SearchLimits | None, Field(description="null: the job's own")] = None

    model_config = ConfigDict(json_schema_extra={"examples": [{"candidate": "0f3a5c7e9b1d"}]})


@router.post(
    "/{job}/choice", status_code=201, responses={200: {"model": JobTold, "description": "It was asked for before"}}
)  # fmt: skip
def choose(job: Id, body: NewChoice, response: Response, caller: Annotated[Caller, may("jobs.write")]) -> JobTold:
    """Have one candidate of a job made and judged alone, and sealed where it keeps every limit: by a job like any
    other, whose `wish` has it as `only`. What was asked for before, and has not failed, is answered with 200."""
    with caller.write() as session:
        row = optimization(session, job, lock=True)
        wish = {**row.wish, "only": {"job": job, "candidate": body.candidate, **_spec(session, row, body.candidate)}}
        if body.limits is not None:
            wish["limits"] = body.limits.model_dump()
        try:
            wishes.check(wish)
        except (KeyError, TypeError):  # its search's process read strangers' files, and told that
            raise Conflict(f"how candidate {body.candidate} was made cannot be read; optimize again") from None
        there = _asked(session, row, wish, inputs(caller.state).target(session, row.target))
        if there is None:
            try:
                (made,) = queued(caller, session, wish, [(row.version, row.target)], row.dataset)
            except Absent as error:
                raise Conflict(f"{error}; without it a candidate cannot be made again") from error
            return caller.reply(session, shown(session, made), 201)
        response.status_code = 200
        return caller.reply(session, shown(session, there), 200)


def _spec(session: Scoped, row: Job, candidate: str) -> dict[str, Any]:
    """How it is made, as ``Spec.to_json`` has it. Raises Absent, Conflict."""
    found = session.get(Candidate, (session.tenant, row.id, candidate))
    if found is None:
        raise Absent(f"job {row.id!r} has no candidate {candidate!r}")
    told: Mapping[str, Any] = found.told
    if not told.get("metrics"):
        why = next(iter(told.get("refused") or ()), "it could not be made")
        raise Conflict(f"candidate {candidate} was never measured: {str(why)[:400]}")
    return {"steps": told.get("recipe"), "engine": told.get("engine"), "options": told.get("engine_options")}


def _asked(session: Scoped, row: Job, wish: Mapping[str, Any], profile: str) -> Job | None:
    """The job that does or did the same, unless its bundle is gone, or its device is described otherwise by now."""
    query = select(Job).where(Job.version == row.version, Job.kind == "optimization", Job.state.not_in(AGAIN))
    as_now = (row.dataset, row.target, profile)
    same = (one for one in session.scalars(query.order_by(Job.id.desc())) if one.wish == wish)
    return next(
        (one for one in same if (one.dataset, one.target, one.profile) == as_now and _holds(session, one)), None
    )


def _holds(session: Scoped, job: Job) -> bool:
    bundle = (job.result or {}).get("bundle")
    return job.state != "done" or (bundle is not None and session.get(Bundle, (session.tenant, bundle)) is not None)
