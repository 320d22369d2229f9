"""Stages: versions go on with the bundles that were made of them, by jobs here or by the command line elsewhere.
Optimized once there is one, deployed once a device runs it, monitored once one has told of it. What a job found and
somebody kept goes on in the place of what it was made of."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Select, select, tuple_

from edgewright.hub import models
from edgewright.hub.database import EVERY, Scoped
from edgewright.hub.fleet.tables import Device, Period
from edgewright.hub.jobs.tables import Job
from edgewright.hub.library.tables import Bundle
from edgewright.hub.models.rules import MOVING
from edgewright.hub.state import State

Pair = tuple[str, str]
"""A tenant, and the digest or id of something of it."""
_AT_ONCE = 500


def advance_all(state: State) -> int:
    """Look at every bundle; how many versions went further."""
    with state.database.read(EVERY) as session:
        news = _news(session)
    moved = 0
    for tenant in {tenant for tenant, _, _ in news}:
        with state.database.write(tenant) as session:
            mine = ((version, stage) for whose, version, stage in news if whose == tenant)
            moved += len({version for version, stage in mine if models.advance(session, version, stage)})
    return moved


def _news(session: Scoped) -> list[tuple[str, str, str]]:
    """Tenant, version and stage, where that may be news."""
    bundles = session.execute(select(Bundle.tenant, Bundle.digest, Bundle.source).where(Bundle.source > "")).all()
    kept, of = _kept(session), models.of_digests(session, {(tenant, source) for tenant, _, source in bundles})
    waiting: dict[Pair, list[Pair]] = {}
    for tenant, digest, source in bundles:
        owners = [kept[tenant, digest]] if (tenant, digest) in kept else of.get((tenant, source), [])
        waiting[tenant, digest] = [(version, stage) for version, stage in owners if stage in MOVING]
    pairs = [pair for pair, versions in waiting.items() if versions]
    runs = _those(session, select(Device.tenant, Device.current), (Device.tenant, Device.current), pairs)
    told = select(Period.tenant, Period.bundle).where(Period.device == "")
    tells = _those(session, told, (Period.tenant, Period.bundle), pairs)
    found = []
    for pair in pairs:
        now = "monitored" if pair in tells else "deployed" if pair in runs else "optimized"
        found += [(pair[0], version, now) for version, stage in waiting[pair] if stage != now]
    return found


def _kept(session: Scoped) -> dict[Pair, Pair]:
    """By a job's bundle the version that was kept of it: its id and stage."""
    versions = models.of_jobs(session)
    query = select(Job.tenant, Job.id, Job.result)
    found = dict[Pair, Pair]()
    for some in _parts(versions):
        for tenant, job, result in session.execute(query.where(tuple_(Job.tenant, Job.id).in_(some))):
            if result and result.get("bundle"):
                found[tenant, result["bundle"]] = versions[tenant, job]
    return found


def _those(session: Scoped, query: Select[str, str], columns: tuple[Any, Any], pairs: Iterable[Pair]) -> set[Pair]:
    """Of the ``pairs``, those that the query finds."""
    found = set[Pair]()
    for some in _parts(pairs):
        found |= {
            (tenant, name) for tenant, name in session.execute(query.where(tuple_(*columns).in_(some)).distinct())
        }
    return found


def _parts(pairs: Iterable[Pair]) -> Iterable[list[Pair]]:
    known = sorted(pairs)
    return (known[at : at + _AT_ONCE] for at in range(0, len(known), _AT_ONCE))
