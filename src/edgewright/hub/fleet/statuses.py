"""Statuses: what devices say of themselves in each poll, stored when it says something new.

Each start of an agent draws a boot. One that polls, another, and the first again, and again, are two agents with one
identity; one agent that was started anew never comes back to a boot of before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, select, update

from edgewright.core.digests import canonical_json
from edgewright.core.messages import Sync
from edgewright.hub.accounts.audit import Actor, tell
from edgewright.hub.database import Scoped
from edgewright.hub.fleet.plain import plain
from edgewright.hub.fleet.presence import ROUND_S, seen
from edgewright.hub.fleet.tables import Device

_AT_ONCE = 500
_RESTLESS = ("clock_s", "free_bytes")
"""What is never news by itself."""
_SLACK_S = 5.0
"""A device's clock that moved by more against the hub's is news."""
_ROUND = timedelta(seconds=ROUND_S)
_TURNS = 3
"""Returns to the boot before after which it is told: a request that was late on its way makes two."""
_TOLD = timedelta(days=1)
"""Before it is told again."""


@dataclass(frozen=True, slots=True)
class Told:
    """A poll of ``device`` that came in at ``at``."""

    device: str
    sync: Sync
    at: datetime

    @property
    def offset_s(self) -> float:
        """The device's clock minus the hub's."""
        return round(self.sync.status.clock_s - self.at.timestamp(), 1)


def mark(told: Told) -> int:
    """A number that stays while a device says the same (within one process)."""
    facts = None if told.sync.facts is None else told.sync.facts.to_json()
    return hash(canonical_json([told.sync.boot, _news(told.sync), facts, round(told.offset_s / 60)]))


def store(session: Scoped, items: Sequence[Told]) -> None:
    """Write what is new in them, the last of each device."""
    last: dict[str, Told] = {}
    for item in items:
        before = last.get(item.device, item)
        sync = item.sync if item.sync.facts is not None else replace(item.sync, facts=before.sync.facts)
        last[item.device] = Told(item.device, sync, item.at)
    rows = _rows(session, sorted(last))
    written = [(row.name, _values(last[row.name], row)) for row in rows]
    if changed := [{"tenant": session.tenant, "name": name, **values} for name, values in written if values]:
        session.execute(update(Device), changed)
    for name, values in written:
        if "cloned" in values:
            actor = Actor("device", name, name)
            tell(session, actor, "device.cloned", name, last[name].at, {"boots": "of two agents take turns"})
    now = max(item.at for item in items)
    seen(session, [row.name for row in rows if row.seen is None or now - row.seen > _ROUND], now)


def _rows(session: Scoped, names: Sequence[str]) -> list[Row[Any]]:
    query = select(
        Device.name,
        Device.status,
        Device.boot,
        Device.boot_before,
        Device.turns,
        Device.cloned,
        Device.facts,
        Device.offset_s,
        Device.seen,
    )  # without a lock: whoever else writes these columns writes what the same device told
    parts = (names[start : start + _AT_ONCE] for start in range(0, len(names), _AT_ONCE))
    return [row for part in parts for row in session.execute(query.where(Device.name.in_(part)))]


def _values(told: Told, row: Row[Any]) -> dict[str, Any]:
    """The columns that are to change."""
    values: dict[str, Any] = {}
    news = _news(told.sync)
    known = {name: value for name, value in row.status.items() if name not in _RESTLESS}
    boot = told.sync.boot
    twins = row.turns > _TURNS and boot == row.boot_before  # known: not written with each of their polls
    if news != known or (boot != row.boot and not twins):
        status = plain(told.sync.status.to_json())
        values = {
            "status": status, "current": told.sync.status.current, "boot": boot, "changed": told.at,
            "offset_s": told.offset_s,
        }  # fmt: skip
        if boot != row.boot:
            turns = row.turns + 1 if boot == row.boot_before else 0
            values |= {"boot_before": row.boot, "turns": turns}
            if turns == _TURNS and (row.cloned is None or told.at - row.cloned > _TOLD):
                values["cloned"] = told.at
    elif abs(told.offset_s - row.offset_s) > _SLACK_S:
        values = {"offset_s": told.offset_s}
    if told.sync.facts is not None:
        facts = plain(told.sync.facts.to_json())
        if facts != row.facts:
            values |= {"facts": facts, "target": facts["target"]}
    return values


def _news(sync: Sync) -> dict[str, Any]:
    told: dict[str, Any] = plain(sync.status.to_json())
    return {name: value for name, value in told.items() if name not in _RESTLESS}
