"""Telemetry: reports taken, once each, into the rollups of their device, of its group and of the fleet.

    take(session, [Told(device_name, report, now), ...])  in the caller's transaction; what was taken before changes
                                                           nothing. What they need of the database is read at once.

What a device may add is bounded, whoever holds its key: observations of bundles only that its tenant has, of few
models, of rollups of bounded size, and events at a bounded rate. What is not believed is counted in ``Ledger.dropped``.
``watch`` (package ``watches``) is the gates' view; ``folding`` merges and ages.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Row, func, insert, select

from edgewright.core.messages import Event, Observation, Report
from edgewright.core.messages.observations import merge
from edgewright.hub import library
from edgewright.hub.database import Scoped
from edgewright.hub.fleet import watches
from edgewright.hub.fleet.packing import Shelf, pack, read_seen
from edgewright.hub.fleet.plain import plain
from edgewright.hub.fleet.tables import Contribution, Device, Happening, Ledger, Period, Watch
from edgewright.hub.fleet.watches import Watched, shadowed, unwatch, watch, watched
from edgewright.hub.ids import new_id
from edgewright.monitoring import rollup
from edgewright.monitoring.seen import Seen

__all__ = ["Told", "Watched", "shadowed", "take", "unwatch", "watch", "watched"]

MOST_PAIRS = 64
"""Models and bundles of which one device has rollups."""
MOST_EVENTS_A_DAY = 2000
_AT_ONCE = 250


class Told(NamedTuple):
    """A report of ``device`` that came at ``at``."""

    device: str
    report: Report
    at: datetime


def take(session: Scoped, items: Sequence[Told]) -> None:
    """Take reports. Nothing happens for one that was taken before, or of a device that is gone."""
    desk = _Desk(session)
    for start in range(0, len(items), _AT_ONCE):
        part = items[start : start + _AT_ONCE]
        desk.read(part)
        for item in part:
            desk.take(item)
        desk.write()


@dataclass
class _Desk:
    """What some hundred reports need of the database, read in one statement for each table, and what comes of them."""

    session: Scoped
    devices: dict[str, Row[Any]] = field(default_factory=dict)
    ledgers: dict[str, tuple[Ledger, Seen]] = field(default_factory=dict)
    pairs: dict[str, set[tuple[str, str]]] = field(default_factory=dict)
    watches: dict[str, list[Watch]] = field(default_factory=dict)
    known: set[str] = field(default_factory=set)
    events: dict[str, int] = field(default_factory=dict)
    rows: dict[Any, list[dict[str, Any]]] = field(default_factory=dict)

    def read(self, items: Sequence[Told]) -> None:
        session, names = self.session, sorted({item.device for item in items})
        self.shelf = Shelf(session)
        wanted = select(Device.name, Device.group, Device.release, Device.offset_s)
        self.devices = {row.name: row for row in session.execute(wanted.where(Device.name.in_(names)))}
        held = select(Ledger).where(Ledger.device.in_(names)).order_by(Ledger.device).with_for_update()
        there = {row.device: row for row in session.scalars(held)}
        for name in self.devices.keys() - there.keys():
            there[name] = Ledger(device=name, seen="[]", dropped=0)
            session.add(there[name])
        self.ledgers = {name: (row, read_seen(row.seen)) for name, row in there.items()}
        self.pairs, self.watches, self.known, self.events = {}, {}, set(), {}
        self.last = dict[str, int]()
        seeing = sorted({item.device for item in items if item.report.observations})
        if seeing:
            query = select(Period.device, Period.model, Period.bundle).where(Period.device.in_(seeing)).distinct()
            for name, model, bundle in session.execute(query):
                self.pairs.setdefault(name, set()).add((model, bundle))
            self.watches = watches.of(session, seeing)
            self.known = library.known(session, {one.bundle for item in items for one in item.report.observations})
        telling = sorted({item.device for item in items if item.report.events})
        if telling:
            first = _first_of(max(item.at for item in items))
            counts = select(Happening.device, func.count()).where(Happening.device.in_(telling), Happening.id >= first)
            self.events = {row[0]: row[1] for row in session.execute(counts.group_by(Happening.device))}

    def take(self, item: Told) -> None:
        name, report, now = item
        device = self.devices.get(name)
        if device is None:
            return
        row, ledger = self.ledgers[name]
        if ledger.has(report.boot, report.sequence):
            return
        received_s = now.timestamp()
        kept: list[Observation] = []
        if report.observations:
            told = [_placed(one, device.offset_s, received_s) for one in self._believed(device, report.observations)]
            for key, group in _by_key(told, received_s).items():
                part = replace(report, observations=tuple(group))
                taken = rollup.take(Seen(), self.shelf.find, name, part, received_s)
                if all(self.shelf.put(one) for one in taken.write):
                    kept += group
                    self._contribute(device.group, key, group)
            watches.note(self.watches.get(name, ()), kept)
        lost = len(report.observations) - len(kept) + len(report.events) - self._events(name, report.events, now)
        ledger = ledger.with_one(report.boot, report.sequence)
        self.ledgers[name] = row, ledger
        row.seen = json.dumps(ledger.to_json())
        row.dropped = min(row.dropped + report.dropped + lost, 2**53)

    def write(self) -> None:
        self.session.flush()
        for kind, rows in self.rows.items():
            self.session.execute(insert(kind), rows)
        self.rows = {}

    def _believed(self, device: Row[Any], observations: Iterable[Observation]) -> list[Observation]:
        """Those of bundles that the hub gave it, or can have given it; of not too many models.

        Its own words are no proof: what it says it runs (``Device.status``, ``Device.current``) is not asked. It may
        tell of the release that it is assigned, of any bundle of its tenant's library, of none (""), and of what it
        told before (that may have left the library since).
        """
        pairs = self.pairs.setdefault(device.name, set())
        given = {"", (device.release or {}).get("bundle", ""), *(bundle for _, bundle in pairs)} | self.known
        found = []
        for one in observations:
            if one.bundle in given and ((one.model, one.bundle) in pairs or len(pairs) < MOST_PAIRS):
                pairs.add((one.model, one.bundle))
                found.append(one)
        return found

    def _contribute(self, group: str, key: rollup.Key, parts: list[Observation]) -> None:
        row = {
            "id": new_id("con"), "group": group, "model": key.model, "bundle": key.bundle, "began_s": key.began_s,
            "seconds": key.seconds, "told": pack(merge(parts).to_json()),
        }  # fmt: skip
        self.rows.setdefault(Contribution, []).append(row)

    def _events(self, name: str, events: Sequence[Event], now: datetime) -> int:
        """Keep events, as long as the device has not told too many today; how many were kept."""
        before, now_ms = self.events.get(name, 0), int(now.timestamp() * 1000)
        wanted = events[: max(0, MOST_EVENTS_A_DAY - before)]
        if wanted:
            self.events[name] = before + len(wanted)
            now_ms = self.last[name] = max(now_ms, self.last.get(name, 0) + 1)  # after those of its report before
            self.rows.setdefault(Happening, []).extend(
                {
                    "id": id, "device": name, "at": now, "told_s": one.at_s, "kind": one.kind,
                    "bundle": one.bundle, "detail": plain(one.detail),
                }
                for id, one in zip(sorted(new_id("hap", now_ms) for _ in wanted), wanted, strict=True)
            )  # fmt: skip
        return len(wanted)


def _first_of(now: datetime) -> str:
    """The least id of today: ids sort by time, so the index is enough."""
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    return new_id("hap", int(midnight.timestamp() * 1000))[:14]


def _placed(one: Observation, offset_s: float, received_s: float) -> Observation:
    """In the hub's time: a clock that cannot be right is reckoned with as the device told it, if that can be."""
    if rollup.place(one, received_s) != one.began_s:
        corrected = replace(one, began_s=one.began_s - offset_s)
        if rollup.place(corrected, received_s) == corrected.began_s:
            return corrected
    return replace(one, began_s=rollup.place(one, received_s))


def _by_key(told: Iterable[Observation], received_s: float) -> dict[rollup.Key, list[Observation]]:
    groups: dict[rollup.Key, list[Observation]] = {}
    for one in told:
        groups.setdefault(rollup.key_of("", one, received_s), []).append(one)
    return groups
