"""Routes of profiles: how long each layer of a version takes, and how sensitive it is."""

from __future__ import annotations

from typing import Annotated, Any

from sqlalchemy import select

from edgewright.hub import models
from edgewright.hub.accounts.access import Caller, may
from edgewright.hub.database import Scoped
from edgewright.hub.errors import Absent, Conflict
from edgewright.hub.jobs.finding import living
from edgewright.hub.jobs.inputs import inputs
from edgewright.hub.jobs.profiled import STAGES
from edgewright.hub.jobs.queue import add, room, stop
from edgewright.hub.jobs.rules import OVER, Able, content_key, measured_again, nobody
from edgewright.hub.jobs.tables import Job, Worker
from edgewright.hub.jobs.told_profiles import LayerProfile, LayersMeasured, NewLayerProfile
from edgewright.hub.web.bodies import Id, Router

router = Router(prefix="/api/edge/versions/{version}/profile", tags=["jobs"])
Reads = Annotated[Caller, may("jobs.read")]
Writes = Annotated[Caller, may("jobs.write")]
_NEEDS = {"engines": ["onnxruntime"]}
_STOPPED = "somebody stopped it; measure again when you want to"


@router.post("", status_code=201)
def make(version: Id, body: NewLayerProfile, caller: Writes) -> LayerProfile:
    """Measure the layers of this version: how long each takes, on the machine of the worker that takes it, and, on a
    dataset, how much the answers lose with it alone in INT8. The last one that was done is kept until this one is."""
    with caller.write() as session:
        given = inputs(caller.state)
        model = given.version(session, version)
        data = None if body.dataset is None else given.dataset(session, body.dataset)
        session.take_turn(f"profiles/{version}")
        known = _all(session, version)
        if any(row.state not in OVER for row in known):
            raise Conflict("the layers of this version are being measured already; wait for that, or cancel it first")
        room(session, 1)
        last = next((row for row in known if row.state == "done"), None)
        for row in known:
            if row is not last:
                session.delete(row)
        wish = {"budget_s": body.seconds, "seed": 0}
        key = content_key("profile", model.file, "" if data is None else data.file, wish)
        row = add(
            session, "profile", wish, _NEEDS, key, caller.user, caller.now, version=version, dataset=body.dataset or "",
        )  # fmt: skip
        caller.tell(session, "job.made", row.id, {"kind": row.kind, "version": version})
        return caller.reply(session, _told(session, version), 201)


@router.get("")
def show(version: Id, caller: Reads) -> LayerProfile:
    """The newest measurement of a version's layers: where it is, and what was measured last."""
    with caller.read() as session:
        models.find_version(session, version)
        return _told(session, version)


@router.post("/cancel")
def cancel(version: Id, caller: Writes) -> LayerProfile:
    """Stop the measurement. What an earlier one measured stays."""
    with caller.write() as session:
        models.find_version(session, version)
        newest = _newest(_all(session, version), version)
        if not stop(session, session.lock(Job, newest.id), keep=False, now=caller.now):
            raise Conflict(f"this measurement is {newest.state} already")
        caller.tell(session, "job.cancelled", newest.id, {"kind": newest.kind, "version": version})
        return caller.reply(session, _told(session, version))


def _all(session: Scoped, version: str) -> list[Job]:
    """Newest first: at most the last one that was done, and those after it."""
    query = select(Job).where(Job.version == version, Job.kind == "profile").order_by(Job.id.desc())
    return list(session.scalars(query))


def _newest(rows: list[Job], version: str) -> Job:
    if not rows:
        raise Absent(f"the layers of {version!r} were never measured; POST to this address to ask for it")
    return rows[0]


def _told(session: Scoped, version: str) -> LayerProfile:
    rows = _all(session, version)
    row = _newest(rows, version)
    done = next((one for one in rows if one.state == "done"), None)
    waits = nobody(row.needs, [Able.of(one.engines) for one in living(session)])
    state: Any = row.state
    why = {"queued": waits or row.reason, "cancelled": _STOPPED}.get(row.state) or measured_again(row.reason)
    return LayerProfile(
        version=version, job=row.id, state=state, reason=why,
        dataset=row.dataset or None, seconds=row.wish["budget_s"], host=_host(session, row), by=row.by, made=row.made,
        ended=row.ended, result=None if done is None else _measured(session, done),
        **_progress(row.progress),
    )  # fmt: skip


def _measured(session: Scoped, row: Job) -> LayersMeasured:
    result: dict[str, Any] = dict(row.result or {})
    return LayersMeasured(dataset=row.dataset or None, host=_host(session, row), at=row.ended, **result)


def _progress(told: dict[str, Any]) -> dict[str, Any]:
    """What the child said, where it is what it should be: a hostile file may have taken it over."""
    stage, tried, elapsed = (told.get(name, 0) for name in ("stage", "tried", "elapsed_s"))
    return {
        "stage": stage if stage in STAGES else "", "tried": tried if type(tried) is int and tried >= 0 else 0,
        "elapsed_s": max(float(elapsed), 0.0) if type(elapsed) in (int, float) else 0.0,
    }  # fmt: skip


def _host(session: Scoped, row: Job) -> str:
    """The machine's whose worker has it, or had it when it was done."""
    if row.worker is not None:
        return session.scalars(select(Worker.host).where(Worker.id == row.worker)).one_or_none() or ""
    return str(row.progress.get("host", "")) if row.state == "done" else ""
