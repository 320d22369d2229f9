"""Desired state: what each device should be. Whoever changes it takes new revisions, and parked polls are answered."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from itertools import islice
from typing import Any

from sqlalchemy import select, update

from edgewright.core.messages import Collect, Desired, Release
from edgewright.hub.database import Scoped
from edgewright.hub.fleet.tables import Counter, Device

_AT_ONCE = 500  # names in one statement: SQLite takes 32,766 parameters, PostgreSQL plans better with fewer


def assign(session: Scoped, wanted: Mapping[str, Release | None]) -> None:
    """Each device named is to run its release (None: whatever it runs stays); one that is to already is left as it is.
    Devices that are gone or revoked are passed over. Within the caller's transaction, by statements: a Device that the
    session has loaded is not renewed."""
    changed = list[dict[str, Any]]()
    rest = iter(sorted(wanted))
    while part := list(islice(rest, _AT_ONCE)):
        query = select(Device.name, Device.release).where(Device.name.in_(part), Device.revoked.is_(None))
        for name, before in session.execute(query.order_by(Device.name)):
            release = wanted[name]
            told = None if release is None else release.to_json()
            if before != told:
                rollout = "" if release is None else release.rollout
                changed.append({"tenant": session.tenant, "name": name, "release": told, "rollout": rollout})
    if changed:
        first = take_numbers(session, "revision", len(changed))
        session.execute(update(Device), [row | {"revision": n} for n, row in enumerate(changed, first)])


def named(session: Scoped, names: Iterable[str]) -> Iterable[Device]:
    """The devices that have these names, in some order."""
    rest = iter(names)
    while part := list(islice(rest, _AT_ONCE)):
        yield from session.scalars(select(Device).where(Device.name.in_(part)))


def revise(session: Scoped, devices: Iterable[Device]) -> None:
    """New revisions for devices whose desired state was changed."""
    rows = list(devices)
    if rows:
        first = take_numbers(session, "revision", len(rows))
        for number, device in enumerate(rows, first):
            device.revision = number


def take_numbers(session: Scoped, name: str, count: int) -> int:
    """The first of ``count`` numbers (from 1) that nobody else gets. Numbers become visible in their order: the
    counter is held until the transaction ends."""
    row = session.get(Counter, (session.tenant, name), with_for_update=True, populate_existing=True)
    if row is None:
        row = Counter(name=name, value=0)
        session.add(row)
        session.flush()
    first, row.value = row.value + 1, row.value + count
    return first


def leap(session: Scoped, now: datetime) -> None:
    """Have all numbers from now on be above all that were ever given: a database that was restored from a backup would
    give some of them again, and a device that has one of them already would never hear what it means now. A process
    does it at its start. Numbers count milliseconds since 1970 then, and no hub gives a thousand a second for long."""
    number = int(now.timestamp() * 1000)
    session.execute(update(Counter).where(Counter.name == "revision", Counter.value < number).values(value=number))


def desired_of(device: Device, anchors: tuple[str, ...] = ()) -> Desired:
    """What the device is told. ``anchors``: roots of the hub's CA, PEM."""
    release = None if device.release is None else Desired.from_json({"revision": 0, "release": device.release}).release
    collect = Desired.from_json({"revision": 0, "collect": device.collect}).collect if device.collect else Collect()
    return replace(Desired(device.revision, release, device.config, collect), anchors=anchors)
