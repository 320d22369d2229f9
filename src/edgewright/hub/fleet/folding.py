"""Folding: what is done with telemetry from time to time. ``merge`` each minute, ``fold`` each hour."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from sqlalchemy import delete, select

from edgewright.core.messages import Observation
from edgewright.core.messages.observations import merge as merged
from edgewright.hub.accounts.tables import Tenant
from edgewright.hub.database import EVERY, Scoped
from edgewright.hub.fleet.packing import find, put, unpack
from edgewright.hub.fleet.tables import Contribution, Counter, Happening, Period, Watch
from edgewright.hub.fleet.watches import fill
from edgewright.hub.state import State
from edgewright.monitoring import rollup
from edgewright.monitoring.rollup import DAYS_KEPT_S, HOURS_KEPT_S, Key, Rollup

_AT_ONCE = 400
EVENTS_KEPT = timedelta(days=90)
_HOUR = timedelta(hours=1)
_FLEET_BYTES = 2**22  # what merging bounds anyway: one device's made-up series do not keep a fleet's from being merged


def fleet_name(group: str) -> str:
    """In a device's place: a group, or "" for the whole fleet."""
    return f"@{group}" if group else ""


def merge(state: State) -> None:
    """Contributions into the rollups of their groups and of the fleet; the past of watched devices."""
    with state.database.read(EVERY) as session:
        busy = set(session.scalars(select(Contribution.tenant).distinct()))
        unfilled = set(session.scalars(select(Watch.tenant).where(Watch.before.is_(None)).distinct()))
    for tenant in busy:
        while True:
            with state.database.write(tenant) as session:
                _hold(session)
                parts = session.scalars(select(Contribution).order_by(Contribution.id).limit(_AT_ONCE)).all()
                _merge(session, parts)
            if len(parts) < _AT_ONCE:
                break
    for tenant in unfilled:
        while True:
            with state.database.write(tenant) as session:
                if not fill(session):
                    break


def fold(state: State, now: datetime) -> None:
    """Hours that grew old into days, old days and events away; once an hour, whichever process comes first."""
    for tenant in tenants(state):
        with state.database.write(tenant) as session:
            held = _hold(session)
            if now.timestamp() - held.value < _HOUR.total_seconds():
                continue
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
        told = Observation.from_json(unpack(one.told))
        for name in {"", fleet_name(one.group)}:
            key = Key(name, one.model, one.bundle, one.began_s, one.seconds)
            groups.setdefault(key, []).append(told)
        session.delete(one)
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
        folded = rollup.fold(
            [Rollup.from_json(unpack(row.told)) for row in rows.values()], lambda key: find(session, key), now_s
        )
        for key in folded.remove:
            session.delete(rows[key])
        session.flush()
        for one in folded.write:
            put(session, one, _FLEET_BYTES)
        return bool(folded.remove) and len(rows) == _AT_ONCE
