"""Presence: when a device was last heard of. Written in batches, and seldom for those that go on asking."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import or_, update

from edgewright.hub.database import Scoped
from edgewright.hub.fleet.tables import Device

ROUND_S = 45.0
"""So often presence is written while devices go on asking."""
ONLINE = timedelta(seconds=2 * ROUND_S)
_AT_ONCE = 500


def seen(session: Scoped, names: Sequence[str], now: datetime) -> None:
    """These devices were heard of just now."""
    for start in range(0, len(names), _AT_ONCE):
        later = or_(Device.seen.is_(None), Device.seen < now)
        changed = update(Device).where(Device.name.in_(names[start : start + _AT_ONCE]), later).values(seen=now)
        session.execute(changed, execution_options={"synchronize_session": False})


def store(session: Scoped, items: Sequence[tuple[Sequence[str], datetime]]) -> None:
    """``seen`` of each."""
    for names, now in items:
        seen(session, names, now)
