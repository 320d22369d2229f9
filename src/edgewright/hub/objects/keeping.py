"""Keeping: an object stays while a row names it, and a day longer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from sqlalchemy import delete, select

from edgewright.core import files
from edgewright.hub.accounts.tables import Tenant
from edgewright.hub.database import EVERY, Scoped
from edgewright.hub.objects.store import objects, work_folder
from edgewright.hub.objects.tables import Arrival
from edgewright.hub.state import State

_AFTER = timedelta(days=1)
_AT_ONCE = 1000
Named = Callable[[Scoped, str | None], set[str]]
"""A slice's answer to which objects (``KIND/SHA256``) its rows name: all of them, or the one that is asked about."""


def expect(state: State, tenant: str, name: str) -> None:
    """Before the object ``name`` is stored: nobody removes it within a day, so that a row can name it."""
    with state.database.write(tenant) as session:
        session.take_turn("objects")
        session.merge(Arrival(tenant=tenant, object=name, until=state.clock() + _AFTER))


def sweep(state: State, now: datetime, named: Sequence[Named]) -> None:
    """Remove temporary files of processes that are gone, and objects that nothing in ``named`` has named for a day.
    Objects of tenants that are not in this database are left alone: another hub may use the same store. Raises
    StorageError."""
    if work_folder(state).is_dir():
        files.sweep(work_folder(state))
    with state.database.read(EVERY) as session:
        tenants = session.scalars(select(Tenant.id)).all()
    for tenant in tenants:
        _sweep(state, tenant, now, named)


def _sweep(state: State, tenant: str, now: datetime, named: Sequence[Named]) -> None:
    store = objects(state)
    old = {one.name for one in store.list(tenant) if one.written < now - _AFTER}
    with state.database.read(tenant) as session:
        known = set[str]().union(*(ask(session, None) for ask in named)) if old else set()
        past = set(session.scalars(select(Arrival.object).where(Arrival.until < now)))
    over = sorted(past - (old - known))  # it arrived, and a row names it; or it never came
    for start in range(0, len(over), _AT_ONCE):
        with state.database.write(tenant) as session:
            some = Arrival.object.in_(over[start : start + _AT_ONCE])
            session.execute(delete(Arrival).where(Arrival.until < now, some))
    for name in sorted(old):
        if name not in known:
            # Whoever stores an object says so in a turn before this one, or after it is gone: never in between.
            with state.database.write(tenant) as session:
                session.take_turn("objects")
                if any(ask(session, name) for ask in named):
                    continue
                stays = session.get(Arrival, (tenant, name))
                if stays is None:  # the row that named it has just gone; somebody may be reading it
                    session.add(Arrival(object=name, until=now + _AFTER))
                elif stays.until < now:
                    session.delete(stays)
                    store.delete(tenant, name)
