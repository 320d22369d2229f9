"""Asking: what the routes of optimizations share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edgewright.hub import plans
from edgewright.hub.accounts.access import Caller
from edgewright.hub.database import Scoped
from edgewright.hub.errors import Absent
from edgewright.hub.jobs import wishes
from edgewright.hub.jobs.finding import living
from edgewright.hub.jobs.inputs import inputs
from edgewright.hub.jobs.queue import add, room
from edgewright.hub.jobs.rules import Able, content_key
from edgewright.hub.jobs.tables import Job
from edgewright.hub.jobs.told import JobTold


def queued(
    caller: Caller, session: Scoped, wish: Mapping[str, Any], pairs: list[tuple[str, str]], dataset: str
) -> list[Job]:  # fmt: skip
    """Rows of new jobs for these versions and targets, told. Raises Absent, Conflict."""
    room(session, len(pairs))
    plans.check(session, caller.now, "jobs_a_day", len(pairs))
    given, made = inputs(caller.state), list[Job]()
    data = given.dataset(session, dataset)
    known = {version: given.version(session, version) for version in dict.fromkeys(version for version, _ in pairs)}
    targets = {target: given.target(session, target) for target in dict.fromkeys(target for _, target in pairs)}
    for version, target in pairs:
        model = known[version]
        asked = {**wish, "name": wish["name"] or wishes.plain_name(model.name)}
        key = content_key("optimization", model.file, data.file, {**asked, "target": targets[target] or target})
        row = add(
            session, "optimization", asked, wishes.needs(asked), key, caller.user, caller.now, version=version,
            dataset=dataset, target=target, profile=targets[target], priority=wish["priority"],
        )  # fmt: skip
        made.append(row)
    for row in made:
        caller.tell(session, "job.made", row.id, {"kind": row.kind, "version": row.version, "target": row.target})
    return made


def optimization(session: Scoped, job: str, lock: bool = False) -> Job:
    """One that was asked for. Raises Absent."""
    row = session.lock(Job, job) if lock else session.find(Job, job)
    if row.kind != "optimization":
        raise Absent(f"there is no optimization {job!r}")
    return row


def able(session: Scoped) -> list[Able]:
    """What the workers that take jobs can do."""
    return [Able.of(row.engines) for row in living(session)]


def shown(session: Scoped, row: Job) -> JobTold:
    """As the routes answer it."""
    return JobTold.of(row, able(session))
