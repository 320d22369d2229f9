"""Telling what happened, in the transaction of it; and forgetting what is old."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete
from sqlalchemy.exc import IntegrityError

from edgewright.hub.accounts.rules import PERMISSIONS
from edgewright.hub.database import Scoped
from edgewright.hub.events.tables import Event, Latest
from edgewright.hub.outgoing import enter

KEPT, KEPT_FOR = 5000, timedelta(days=7)
"""What a client that was away can still go on from: so many events of a tenant, not older than that."""
_EVERY = 200


def permission(kind: str) -> str:
    """What one must be allowed to see it: ``job.state`` takes ``jobs.read``."""
    return f"{kind.partition('.')[0]}s.read"


def emit(session: Scoped, kind: str, of: str, data: Mapping[str, Any], now: datetime) -> int:
    """Tell that ``kind`` happened to ``of``, here and to the webhooks that want it; its number.

    ``data`` is small, plain JSON that may be shown.

    Call it late: the tenant's numbers are held until the transaction ends.
    """
    if permission(kind) not in PERMISSIONS:
        raise ValueError(f"nobody may see {kind!r}: add {permission(kind)} to accounts.rules")
    latest = _held(session)
    latest.seq += 1
    session.add(Event(seq=latest.seq, at=now, kind=kind, of=of, data=dict(data)))
    enter(session, kind, of, latest.seq, data, now)
    if latest.seq % _EVERY == 0:
        session.execute(delete(Event).where(Event.seq <= latest.seq - KEPT))
    session.flush()
    return latest.seq


def forget(session: Scoped, now: datetime) -> None:
    """Remove what is old, of every tenant (a session over all)."""
    session.execute(delete(Event).where(Event.at < now - KEPT_FOR))


def _held(session: Scoped) -> Latest:
    key = {"ident": (session.tenant,), "with_for_update": True, "populate_existing": True}
    row = session.get(Latest, **key)  # type: ignore[arg-type]
    if row is None:
        with contextlib.suppress(IntegrityError), session.begin_nested():  # somebody else may be first
            session.add(Latest(seq=0))
        row = session.get(Latest, **key)  # type: ignore[arg-type]
    assert row is not None  # noqa: S101 - it was made, here or elsewhere
    return row
