"""Telemetry: reports taken, once each, into the rollups of their device, of its group and of the fleet.

    take(session, device_name, report, now)      in the caller's transaction; what was taken before changes nothing

What a device may add is bounded, whoever holds its key: observations of bundles only that it was given, of few models,
of rollups of bounded size, and events at a bounded rate. What is not believed is counted in ``Ledger.dropped``.
``watch`` (package ``watches``) is the gates' view; ``folding`` merges and ages.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from sqlalchemy import func, select

from edgewright.core.messages import Event, Observation, Report
from edgewright.core.messages.observations import merge
from edgewright.hub.database import Scoped
from edgewright.hub.fleet import watches
from edgewright.hub.fleet.packing import find, pack, put
from edgewright.hub.fleet.plain import plain
from edgewright.hub.fleet.tables import Contribution, Device, Happening, Ledger, Period
from edgewright.hub.fleet.watches import Watched, shadowed, unwatch, watch, watched
from edgewright.hub.ids import new_id
from edgewright.monitoring import rollup
from edgewright.monitoring.seen import Seen

__all__ = ["Watched", "shadowed", "take", "unwatch", "watch", "watched"]

MOST_PAIRS = 64
"""Models and bundles of which one device has rollups."""
MOST_EVENTS_A_DAY = 2000


def take(session: Scoped, device_name: str, report: Report, now: datetime) -> None:
    """Take a report. Nothing happens for one that was taken before, or of a device that is gone."""
    row = session.get(Ledger, (session.tenant, device_name), with_for_update=True)
    device = session.get(Device, (session.tenant, device_name))
    if device is None:
        return
    if row is None:
        row = Ledger(device=device_name, seen="[]", dropped=0)
        session.add(row)
    ledger = Seen.from_json(json.loads(row.seen))
    if ledger.has(report.boot, report.sequence):
        return
    received_s = now.timestamp()
    told = [_placed(one, device, received_s) for one in _believed(session, device, report.observations)]
    kept: list[Observation] = []
    for key, group in _by_key(told, received_s).items():
        part = replace(report, observations=tuple(group))
        taken = rollup.take(Seen(), lambda wanted: find(session, wanted), device_name, part, received_s)
        if all(put(session, one) for one in taken.write):
            kept += group
            _contribute(session, device.group, key, group)
    events = _events(session, device_name, report.events, now)
    watches.note(session, device_name, kept, now)
    lost = len(report.observations) - len(kept) + len(report.events) - events
    row.seen = json.dumps(ledger.with_one(report.boot, report.sequence).to_json())
    row.dropped = min(row.dropped + report.dropped + lost, 2**53)
    session.flush()


def _believed(session: Scoped, device: Device, observations: Iterable[Observation]) -> list[Observation]:
    """Those of bundles that the device has or had, according to the hub; of not too many models."""
    query = select(Period.model, Period.bundle).where(Period.device == device.name).distinct()
    pairs = {(model, bundle) for model, bundle in session.execute(query)}
    given = {"", device.current, (device.release or {}).get("bundle", ""), *(bundle for _, bundle in pairs)}
    given |= {device.status.get(name, "") for name in ("good", "target")}
    found = []
    for one in observations:
        if one.bundle in given and ((one.model, one.bundle) in pairs or len(pairs) < MOST_PAIRS):
            pairs.add((one.model, one.bundle))
            found.append(one)
    return found


def _placed(one: Observation, device: Device, received_s: float) -> Observation:
    """In the hub's time: a clock that cannot be right is reckoned with as the device told it, if that can be."""
    if rollup.place(one, received_s) != one.began_s:
        corrected = replace(one, began_s=one.began_s - device.offset_s)
        if rollup.place(corrected, received_s) == corrected.began_s:
            return corrected
    return replace(one, began_s=rollup.place(one, received_s))


def _by_key(told: Iterable[Observation], received_s: float) -> dict[rollup.Key, list[Observation]]:
    groups: dict[rollup.Key, list[Observation]] = {}
    for one in told:
        groups.setdefault(rollup.key_of("", one, received_s), []).append(one)
    return groups


def _contribute(session: Scoped, group: str, key: rollup.Key, parts: list[Observation]) -> None:
    told = pack(merge(parts).to_json())
    session.add(
        Contribution(
            id=new_id("con"), group=group, model=key.model, bundle=key.bundle, began_s=key.began_s,
            seconds=key.seconds, told=told,
        )
    )  # fmt: skip


def _events(session: Scoped, device: str, events: Iterable[Event], now: datetime) -> int:
    """Keep events, as long as the device has not told too many today."""
    wanted = list(events)
    if not wanted:
        return 0
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    first = new_id("hap", int(midnight.timestamp() * 1000))[:14]  # ids sort by time: the index is enough
    query = select(func.count()).select_from(Happening).where(Happening.device == device, Happening.id >= first)
    room = max(0, MOST_EVENTS_A_DAY - (session.scalar(query) or 0))
    now_ms = int(now.timestamp() * 1000)
    for one in wanted[:room]:
        session.add(
            Happening(
                id=new_id("hap", now_ms), device=device, at=now, told_s=one.at_s, kind=one.kind, bundle=one.bundle,
                detail=plain(one.detail),
            )
        )  # fmt: skip
    return len(wanted[:room])
