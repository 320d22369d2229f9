"""Roster: what each request of a device is held against, in memory; and what changed of it in the database.

A worker reads all devices at its start and from then on those whose revision is above the last one it saw: all that a
roster has to learn (a new state, a revocation, a new device, a newer certificate in use) takes a new revision.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Select, func, select, tuple_

from edgewright.hub.database import Scoped
from edgewright.hub.fleet.desired import named, revise
from edgewright.hub.fleet.tables import Certificate, Counter, Device

_AT_ONCE = 500


class Key(NamedTuple):
    """A device: ``tenant`` is an id, ``device`` a name."""

    tenant: str
    device: str


class Fresh(NamedTuple):
    """A device as the database has it. ``certificates``: when each was made, by serial; None: not looked at."""

    key: Key
    revision: int
    revoked: bool
    serial: str
    certificates: Mapping[str, datetime] | None


@dataclass(slots=True)
class Known:
    """A device in memory. ``serial``: of the newest certificate that it used; ``seen``: its last request (s,
    monotonic); ``boot``: a hash of the one that polled last."""

    key: Key
    revision: int = 0
    revoked: bool = False
    serial: str = ""
    certificates: dict[str, datetime] = field(default_factory=dict)
    seen: float = 0.0
    boot: int = 0

    def learn(self, fresh: Fresh) -> None:
        """Take over what the database says."""
        self.revision, self.revoked = fresh.revision, fresh.revoked
        if fresh.certificates is not None:
            self.certificates = dict(fresh.certificates)
        elif fresh.serial and fresh.serial not in self.certificates:
            self.certificates = {}  # one that another worker issued: they are looked up at the next request
        if fresh.serial in self.certificates and not self.older(fresh.serial):
            self.serial = fresh.serial

    def older(self, serial: str) -> bool:
        """Whether it is of a certificate that was made before the newest one in use."""
        used = self.certificates.get(self.serial)
        return used is not None and self.certificates[serial] < used


def changes(session: Scoped, marks: dict[str, int], all_of_it: bool = False) -> list[Fresh]:
    """Devices of all tenants with a revision above ``marks`` (which are moved on). ``all_of_it``: with their
    certificates, at the start: all of them come at once then."""
    found = []
    counters = select(Counter.tenant, Counter.value).where(Counter.name == "revision")
    for tenant, value in session.execute(counters).all():
        before = marks.get(tenant, 0)
        if value != before:
            certificates = _certificates(session, tenant) if all_of_it else {}
            query = _devices().where(Device.tenant == tenant, Device.revision > before)
            for _, name, revision, gone, serial in session.execute(query):
                held = certificates.get(name)
                found.append(Fresh(Key(tenant, name), revision, gone is not None, serial, held))
            marks[tenant] = value
    return found


def _certificates(session: Scoped, tenant: str) -> dict[str, dict[str, datetime]]:
    """All that stand, by device and serial."""
    found: dict[str, dict[str, datetime]] = {}
    query = select(Certificate.device, Certificate.serial, Certificate.made)
    for device, serial, made in session.execute(
        query.where(Certificate.tenant == tenant, Certificate.revoked.is_(None))
    ):
        found.setdefault(device, {})[serial] = made
    return found


def look_up(session: Scoped, keys: Iterable[Key]) -> dict[Key, Fresh]:
    """These devices with their certificates; what is not there is left out."""
    found: dict[Key, Fresh] = {}
    wanted = list(keys)
    for start in range(0, len(wanted), _AT_ONCE):
        part = wanted[start : start + _AT_ONCE]
        certificates: dict[Key, dict[str, datetime]] = {}
        query = select(Certificate.tenant, Certificate.device, Certificate.serial, Certificate.made)
        held = query.where(tuple_(Certificate.tenant, Certificate.device).in_(part), Certificate.revoked.is_(None))
        for tenant, device, serial, made in session.execute(held):
            certificates.setdefault(Key(tenant, device), {})[serial] = made
        devices = _devices().where(tuple_(Device.tenant, Device.name).in_(part))
        for tenant, name, revision, gone, serial in session.execute(devices):
            key = Key(tenant, name)
            found[key] = Fresh(key, revision, gone is not None, serial, certificates.get(key, {}))
    return found


def count_devices(session: Scoped, _: datetime) -> int:
    """For ``plans``."""
    return session.scalar(select(func.count()).select_from(Device).where(Device.revoked.is_(None))) or 0


def used(session: Scoped, items: Iterable[tuple[str, str]]) -> None:
    """Devices (by name) used a newer certificate (by serial) for the first time: all workers are to know."""
    serials = dict(items)
    rows = list(named(session, serials))
    for row in rows:
        row.serial = serials[row.name]
    revise(session, rows)


def _devices() -> Select[str, str, int, datetime | None, str]:
    return select(Device.tenant, Device.name, Device.revision, Device.revoked, Device.serial)
