"""Tables of the alerts."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from edgewright.hub.database import Base, TenantRow


class Alert(Base, TenantRow):
    """Something that needs somebody. ``open``: its kind and subject while it is, null when it is over: the database
    itself holds that a cause has one alert. ``quiet``: since when its cause is away (it may come back); ``returns``:
    how often it did."""

    __tablename__ = "alerts"
    __table_args__ = (
        UniqueConstraint("tenant", "open", name="uq_alerts_tenant_open"),
        Index("ix_alerts_tenant_ended", "tenant", "ended"),
    )
    id: Mapped[str] = mapped_column(primary_key=True)
    kind: Mapped[str]
    subject: Mapped[str]
    severity: Mapped[str]
    told: Mapped[str]
    since: Mapped[datetime]
    open: Mapped[str | None]
    quiet: Mapped[datetime | None]
    returns: Mapped[int] = mapped_column(default=0)
    acknowledged_by: Mapped[str] = mapped_column(default="")
    acknowledged: Mapped[datetime | None]
    ended: Mapped[datetime | None]


class Ruling(Base, TenantRow):
    """What a tenant changed of the rules: ``rules`` by kind (``rules.Rule`` as JSON), ``mail``: who is written to, from
    ``least`` severity on."""

    __tablename__ = "alert_rules"
    rules: Mapped[dict[str, Any]]
    mail: Mapped[list[str]]
    least: Mapped[str]
    changed: Mapped[datetime]


class Turn(Base, TenantRow):
    """The tenant's lease of the rounds: ``holder`` has it ``until`` then. ``since``: from when on rounds were made
    without a gap: what nobody was there to hear before says nothing. ``read``: the last line of the audit log that was
    looked at."""

    __tablename__ = "alert_turns"
    holder: Mapped[str]
    until: Mapped[datetime]
    since: Mapped[datetime]
    read: Mapped[int] = mapped_column(default=0)


class Loss(Base, TenantRow):
    """Reports that a device lost: ``counted`` of its ledger were looked at, ``recent`` of them came since a day
    without any; the last ones at ``at``."""

    __tablename__ = "alert_losses"
    device: Mapped[str] = mapped_column(primary_key=True)
    counted: Mapped[int]
    recent: Mapped[int]
    at: Mapped[datetime]


class Clone(Base, TenantRow):
    """A device of which a second one was seen, last ``at`` then."""

    __tablename__ = "alert_clones"
    device: Mapped[str] = mapped_column(primary_key=True)
    at: Mapped[datetime]
    told: Mapped[str]


class Served(Base, TenantRow):
    """The last whole hour (``began_s``) in which a model served on a device, as it was judged, and what is usual
    (``serving.Usual`` as JSON)."""

    __tablename__ = "alert_serving"
    __table_args__ = (Index("ix_alert_serving_tenant_level", "tenant", "level"),)
    device: Mapped[str] = mapped_column(primary_key=True)
    model: Mapped[str] = mapped_column(primary_key=True)
    began_s: Mapped[int]
    level: Mapped[str]
    told: Mapped[str]
    usual: Mapped[dict[str, Any]]
