"""Folding: what is done with telemetry from time to time. ``merge`` each minute, ``fold`` each hour."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime, timedelta

from sqlalchemy import delete, select
from sqlalchemy.exc import DBAPIError

from edgewright.core.messages import Observation
from edgewright.core.messages.observations import merge as merged
from edgewright.hub.accounts.tables import Tenant
from edgewright.hub.database import EVERY, Scoped, told
from edgewright.hub.fleet.packing import find, put, unpack_observation, unpack_rollup
from edgewright.hub.fleet.tables import Contribution, Counter, Happening, Period, Watch
from edgewright.hub.fleet.watches import fill
from edgewright.hub.state import State
from edgewright.monitoring import rollup
from edgewright.monitoring.rollup import DAYS_KEPT_S, HOURS_KEPT_S, Key, Rollup

_AT_ONCE = 400
EVENTS_KEPT = timedelta(days=90)
_HOUR = timedelta(hours=1)
_LOG = logging.getLogger("edgewright.hub")
_FLEET_BYTES = 2**22  # what merging bounds anyway: one device's made-up series do not keep a fleet's from being merged


def fleet_name(group: str) -> str:
    """In a device's place: a group, or "" for the whole fleet."""
    return f"@{group}" if group else ""


def merge(state: State) -> None:
    """Contributions into the rollups of their groups and of the fleet; the past of watched devices."""
    with state.database.read(EVERY) as session:
        busy = set(session.scalars(select(Contribution.tenant).distinct()))
        unfilled = set(session.scalars(select(Watch.tenant).where(Watch.before.is_(None)).distinct()))
    _each(busy, lambda tenant: _merge_all(state, tenant))
    _each(unfilled, lambda tenant: _fill_all(state, tenant))


def fold(state: State, now: datetime) -> None:
    """Hours that grew old into days, old days and events away; once an hour, whichever process comes first."""
    _each(tenants(state), lambda tenant: _fold_all(state, tenant, now))


def _each(of: Iterable[str], job: Callable[[str], None]) -> None:
    """The job for each tenant: what goes wrong with one keeps no other from its turn."""
    for tenant in of:
        try:
            job(tenant)
        except Exception as error:  # noqa: BLE001 - logged, and its turn comes again
            trace = None if isinstance(error, DBAPIError) else error
            _LOG.warning("telemetry of %s not folded, tried again: %s", tenant, told(error), exc_info=trace)


def _merge_all(state: State, tenant: str) -> None:
    while True:
        with state.database.write(tenant) as session:
            _hold(session)
            parts = session.scalars(select(Contribution).order_by(Contribution.id).limit(_AT_ONCE)).all()
            _merge(session, parts)
        if len(parts) < _AT_ONCE:
            return


def _fill_all(state: State, tenant: str) -> None:
    while True:
        with state.database.write(tenant) as session:
            if not fill(session):
                return


def _fold_all(state: State, tenant: str, now: datetime) -> None:
    with state.database.write(tenant) as session:
        held = _hold(session)
        if now.timestamp() - held.value < _HOUR.total_seconds():
            return
        held.value = int(now.timestamp())
        old = delete(Happening).where(Happening.at < now - EVENTS_KEPT)
        session.execute(old, execution_options={"synchronize_session": False})
    while _fold_some(state, tenant, now.timestamp()):
        pass


def tenants(state: State) -> list[str]:
    """All tenants' ids."""
    with state.database.read(EVERY) as session:
        return list(session.scalars(select(Tenant.id)))


def _hold(session: Scoped) -> Counter:
    """The tenant's folding, held until the transaction ends: one process at a time. Its value: when it was last done
    (s since 1970)."""
    row = session.get(Counter, (session.tenant, "folded"), with_for_update=True)
    if row is None:
        row = Counter(name="folded", value=0)
        session.add(row)
        session.flush()
    return row


def _merge(session: Scoped, parts: Iterable[Contribution]) -> None:
    groups: dict[Key, list[Observation]] = {}
    for one in parts:
        session.delete(one)
        told = unpack_observation(one.told)
        if told is None:
            continue
        for name in {"", fleet_name(one.group)}:
            key = Key(name, one.model, one.bundle, one.began_s, one.seconds)
            groups.setdefault(key, []).append(told)
    for key, tolds in groups.items():
        there = find(session, key)
        if there is not None:
            tolds.append(there.told)
        put(session, Rollup(key, merged(tolds)), _FLEET_BYTES)


def _fold_some(state: State, tenant: str, now_s: float) -> bool:
    """A portion; whether there may be more."""
    with state.database.write(tenant) as session:
        hours = (Period.seconds == rollup.HOUR_S) & (Period.began_s < int(now_s) - HOURS_KEPT_S - rollup.HOUR_S)
        days = Period.began_s < int(now_s) - DAYS_KEPT_S - rollup.DAY_S
        query = select(Period).where(hours | days).order_by(Period.began_s).limit(_AT_ONCE)
        rows = {Key(r.device, r.model, r.bundle, r.began_s, r.seconds): r for r in session.scalars(query)}
        read = {key: unpack_rollup(row.told) for key, row in rows.items()}
        unreadable = [key for key, one in read.items() if one is None]
        # Under the row's key: what the row says of itself is not where it lies.
        there = [replace(one, key=key) for key, one in read.items() if one is not None]
        folded = rollup.fold(there, lambda key: find(session, key), now_s)
        for key in (*folded.remove, *unreadable):
            session.delete(rows[key])
        session.flush()
        for one in folded.write:
            put(session, one, _FLEET_BYTES)
        return bool(folded.remove or unreadable) and len(rows) == _AT_ONCE
