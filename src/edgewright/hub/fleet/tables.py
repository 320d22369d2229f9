"""Tables of the fleet's devices. Digests are hexadecimal, JSON is what ``core.messages`` gives."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Index, Text
from sqlalchemy.orm import Mapped, mapped_column

from edgewright.hub.database import Base, Document, TenantRow


class Device(Base, TenantRow):
    """A device by its ``name``, which its certificates carry and which is never given to another one.

    ``revision``: of its desired state, from one counter of its tenant, so that what changed since a number is one
    query; ``release``: the JSON of ``messages.Release`` or null; ``status``: of the last sync (``messages.Status``);
    ``changed``: when that said something new; ``seen``: the last request (written in batches); ``offset_s``: its clock
    minus the hub's. ``serial``: of its newest certificate that was used.
    """

    __tablename__ = "devices"
    __table_args__ = (
        Index("ix_devices_tenant_revision", "tenant", "revision"),
        Index("ix_devices_tenant_group", "tenant", "group"),
        Index("ix_devices_tenant_rollout", "tenant", "rollout"),
        Index("ix_devices_tenant_current", "tenant", "current"),
    )
    name: Mapped[str] = mapped_column(primary_key=True)
    group: Mapped[str] = mapped_column(default="")
    target: Mapped[str] = mapped_column(default="")
    labels: Mapped[dict[str, Any]]
    facts: Mapped[dict[str, Any]]
    revision: Mapped[int]
    rollout: Mapped[str] = mapped_column(default="")
    release: Mapped[dict[str, Any] | None]
    config: Mapped[dict[str, Any]]
    collect: Mapped[dict[str, Any]]
    watched_s: Mapped[float] = mapped_column(default=0.0)
    status: Mapped[dict[str, Any]]
    current: Mapped[str] = mapped_column(default="")
    boot: Mapped[str] = mapped_column(default="")
    boot_before: Mapped[str] = mapped_column(default="")
    turns: Mapped[int] = mapped_column(default=0)
    cloned: Mapped[datetime | None]
    offset_s: Mapped[float] = mapped_column(default=0.0)
    serial: Mapped[str] = mapped_column(default="")
    made: Mapped[datetime]
    seen: Mapped[datetime | None]
    changed: Mapped[datetime]
    revoked: Mapped[datetime | None]


class Group(Base, TenantRow):
    """What all devices of a group are told that do not say otherwise themselves: ``config`` and ``collect`` lie below
    each device's own. A group without a row has nothing of the kind."""

    __tablename__ = "device_groups"
    name: Mapped[str] = mapped_column(primary_key=True)
    config: Mapped[dict[str, Any]]
    collect: Mapped[dict[str, Any]]
    changed: Mapped[datetime]


class Certificate(Base, TenantRow):
    """A certificate that was issued: one that has no row here lets nobody in."""

    __tablename__ = "certificates"
    __table_args__ = (Index("ix_certificates_tenant_device", "tenant", "device"),)
    serial: Mapped[str] = mapped_column(primary_key=True)
    device: Mapped[str]
    key: Mapped[str]
    made: Mapped[datetime]
    until: Mapped[datetime]
    revoked: Mapped[datetime | None]


class Enrolment(Base, TenantRow):
    """A token of enrolment (``trust.authority.TokenRecord``), or a key that was authorised before (``digest`` is its
    digest then, ``kind`` is ``key``). ``device``: the only name it enrols, "" for any; ``group`` is the device's."""

    __tablename__ = "enrolments"
    id: Mapped[str] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(default="token")
    digest: Mapped[str]
    device: Mapped[str] = mapped_column(default="")
    group: Mapped[str] = mapped_column(default="")
    labels: Mapped[dict[str, Any]]
    made: Mapped[datetime]
    until: Mapped[datetime]
    used_by: Mapped[str | None]
    used: Mapped[datetime | None]


class Counter(Base, TenantRow):
    """The tenant's counters; ``revision`` is that of desired states. Its row is held until the transaction ends, so
    that numbers become visible in their order."""

    __tablename__ = "counters"
    name: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[int]


class Ledger(Base, TenantRow):
    """Which reports of a device were taken (``monitoring.seen.Seen`` as JSON text)."""

    __tablename__ = "ledgers"
    device: Mapped[str] = mapped_column(primary_key=True)
    seen: Mapped[str] = mapped_column(Text)
    dropped: Mapped[int] = mapped_column(default=0)


class Period(Base, TenantRow):
    """A rollup (``monitoring.rollup.Rollup`` as compressed JSON) of one device, model and bundle. ``device`` "" is the
    whole fleet, "@NAME" the group of that name: no device is called so."""

    __tablename__ = "periods"
    __table_args__ = (Index("ix_periods_tenant_began", "tenant", "began_s"),)
    device: Mapped[str] = mapped_column(primary_key=True)
    began_s: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    seconds: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    model: Mapped[str] = mapped_column(primary_key=True)
    bundle: Mapped[str] = mapped_column(primary_key=True)
    told: Mapped[bytes]


class Watch(Base, TenantRow):
    """What a device told of a bundle from ``since`` on, merged: the gates' view of it. ``id`` says for whom."""

    __tablename__ = "watches"
    __table_args__ = (Index("ix_watches_tenant_device", "tenant", "device"),)
    id: Mapped[str] = mapped_column(primary_key=True)
    device: Mapped[str] = mapped_column(primary_key=True)
    since: Mapped[datetime]
    every_s: Mapped[float] = mapped_column(default=0.0)
    before: Mapped[bytes | None]
    after: Mapped[bytes | None]


class Happening(Base, TenantRow):
    """An event of a device (``messages.Event``), by the hub's clock at which it came in."""

    __tablename__ = "happenings"
    __table_args__ = (Index("ix_happenings_tenant_device", "tenant", "device", "id"),)
    id: Mapped[str] = mapped_column(primary_key=True)
    device: Mapped[str]
    at: Mapped[datetime]
    told_s: Mapped[float]
    kind: Mapped[str]
    bundle: Mapped[str]
    detail: Mapped[str]


class DeviceBenchmark(Base, TenantRow):
    """What a device is to measure, or has. ``number``: of the request, one of its revisions; ``benchmark``: what it is
    a part of; ``asked``: as ``messages.Benchmark`` has it, without the number; ``result``: as
    ``messages.BenchmarkResult``. ``state``: waiting (another is before it), asked, done, failed (``reason``),
    cancelled."""

    __tablename__ = "device_benchmarks"
    __table_args__ = (
        Index("ix_device_benchmarks_tenant_benchmark", "tenant", "benchmark"),
        Index("ix_device_benchmarks_tenant_device", "tenant", "device", "state"),
    )
    id: Mapped[str] = mapped_column(primary_key=True)
    benchmark: Mapped[str]
    device: Mapped[str]
    number: Mapped[int]
    state: Mapped[str]
    reason: Mapped[str] = mapped_column(default="")
    asked: Mapped[dict[str, Any]]
    result: Mapped[dict[str, Any] | None] = mapped_column(Document)
    made: Mapped[datetime]
    ended: Mapped[datetime | None]


class Contribution(Base, TenantRow):
    """What one report added to an hour or day (``Period`` keys), until ``folding`` has merged it into the fleet's and
    its group's. A report's own devices' rows are exact at once, the fleet's a minute later."""

    __tablename__ = "contributions"
    id: Mapped[str] = mapped_column(primary_key=True)
    group: Mapped[str]
    model: Mapped[str]
    bundle: Mapped[str]
    began_s: Mapped[int]
    seconds: Mapped[int]
    told: Mapped[bytes]
