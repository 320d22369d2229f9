"""Stages: versions go on with what was made of them. Deployed once a rollout of a bundle of theirs has begun, monitored
once a device has told of it."""

from __future__ import annotations

from collections import defaultdict

from sqlalchemy import select, tuple_

from edgewright.hub import models
from edgewright.hub.database import EVERY, Scoped
from edgewright.hub.fleet.tables import Period
from edgewright.hub.jobs.tables import Job
from edgewright.hub.rollouts.tables import Rollout
from edgewright.hub.state import State

_AT_ONCE = 500


def advance_all(state: State) -> int:
    """Look at every bundle that a job made of a version that may go further; how many did."""
    with state.database.read(EVERY) as session:
        waiting = models.unmonitored(session)
        news = _news(session, _made(session, waiting)) if waiting else {}
    moved = 0
    for tenant, stages in news.items():
        if any(waiting[tenant, version] != stage for version, stage in stages.items()):
            with state.database.write(tenant) as session:
                moved += sum(models.advance(session, version, stage) for version, stage in stages.items())
    return moved


def _made(session: Scoped, waiting: dict[tuple[str, str], str]) -> dict[tuple[str, str], str]:
    """By tenant and bundle the version that it was made of."""
    found, keys = dict[tuple[str, str], str](), sorted(waiting)
    for at in range(0, len(keys), _AT_ONCE):
        some = tuple_(Job.tenant, Job.version).in_(keys[at : at + _AT_ONCE])
        for tenant, version, result in session.execute(
            select(Job.tenant, Job.version, Job.result).where(Job.state == "done", some)
        ):
            if result and result.get("bundle"):
                found[tenant, result["bundle"]] = version
    return found


def _news(session: Scoped, made: dict[tuple[str, str], str]) -> dict[str, dict[str, str]]:
    """By tenant and version how far it has come."""
    found: dict[str, dict[str, str]] = defaultdict(dict)
    query = select(Rollout.tenant, Rollout.bundles).where(Rollout.started.is_not(None))
    for tenant, bundles in session.execute(query) if made else ():
        for digest in bundles:
            if (version := made.get((tenant, digest))) is not None:
                told = select(Period.bundle).where(Period.tenant == tenant, Period.device == "")
                heard = session.execute(told.where(Period.bundle == digest).limit(1)).first()
                found[tenant][version] = "monitored" if heard else found[tenant].get(version, "deployed")
    return found
