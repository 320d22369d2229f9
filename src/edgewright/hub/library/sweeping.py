"""Clearing up: what killed uploads left, and objects that no row names."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import delete, select

from edgewright.core import files
from edgewright.hub.accounts.tables import Tenant
from edgewright.hub.database import EVERY, Scoped
from edgewright.hub.library.bundles import lock
from edgewright.hub.library.deltas import resume
from edgewright.hub.library.objects import objects, work_folder
from edgewright.hub.library.tables import Arrival, Bundle, Delta
from edgewright.hub.state import State

_AFTER = timedelta(days=1)


def sweep(state: State, now: datetime) -> None:
    """Remove temporary files of processes that are gone, and objects that no row has named for a day; go on with deltas
    that wait. At start, and now and then. Objects of tenants that are not in this database are left alone: another
    hub may use the same store. Raises StorageError."""
    if work_folder(state).is_dir():
        files.sweep(work_folder(state))
    with state.database.write(EVERY) as session:
        session.execute(delete(Arrival).where(Arrival.until < now))
    with state.database.read(EVERY) as session:
        tenants = session.scalars(select(Tenant.id)).all()
    for tenant in tenants:
        _sweep(state, tenant, now)
    resume(state)


def _sweep(state: State, tenant: str, now: datetime) -> None:
    store = objects(state)
    old = [one.name for one in store.list(tenant) if one.written < now - _AFTER]
    if not old:
        return
    with state.database.read(tenant) as session:
        named = _named(session)
    for name in old:
        if name not in named:
            # Whoever stores an object says so under this lock first, so none arrives between the look and the deed.
            with state.database.write(tenant) as session:
                lock(session)
                if name not in _named(session, name):
                    store.delete(tenant, name)


def _named(session: Scoped, name: str | None = None) -> set[str]:
    """The objects that rows name, or ``name`` alone if one does."""
    bundles, deltas, arrivals = select(Bundle.file), select(Delta.object), select(Arrival.object)
    if name is not None:
        bundles = bundles.where(Bundle.file == name.partition("/")[2])
        deltas, arrivals = deltas.where(Delta.object == name), arrivals.where(Arrival.object == name)
    files_ = {f"bundles/{file}" for file in session.scalars(bundles)}
    return files_ | set(session.scalars(deltas)) | set(session.scalars(arrivals))
