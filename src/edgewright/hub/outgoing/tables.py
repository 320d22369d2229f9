"""Tables of outgoing messages."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Index, Text
from sqlalchemy.orm import Mapped, mapped_column

from edgewright.hub.database import Base, TenantRow


class Webhook(Base, TenantRow):
    """Where alerts from ``least`` severity on (null: none) and ``events`` of these kinds are posted. ``secret`` is
    sealed. ``private``: an owner allowed that the address lies in a private network."""

    __tablename__ = "webhooks"
    id: Mapped[str] = mapped_column(primary_key=True)
    url: Mapped[str]
    secret: Mapped[str]
    least: Mapped[str | None]
    private: Mapped[bool]
    made: Mapped[datetime]
    events: Mapped[list[str]] = mapped_column(default=list)


class Delivery(Base, TenantRow):
    """A message on its way. ``channel``: a webhook's id, or ``mail``. ``state``: waiting, delivered, given_up; ``due``:
    when to try (again); ``told``: how the last try went. A channel's messages are in the order of ``made`` and ``id``.
    """

    __tablename__ = "deliveries"
    __table_args__ = (
        Index("ix_deliveries_tenant_state_due", "tenant", "state", "due"),
        Index("ix_deliveries_state_due", "state", "due"),
    )
    id: Mapped[str] = mapped_column(primary_key=True)
    channel: Mapped[str]
    alert: Mapped[str]
    event: Mapped[str]
    body: Mapped[str] = mapped_column(Text)
    state: Mapped[str] = mapped_column(default="waiting")
    tries: Mapped[int] = mapped_column(default=0)
    made: Mapped[datetime]
    due: Mapped[datetime]
    ended: Mapped[datetime | None]
    told: Mapped[str] = mapped_column(default="")


class Sending(Base, TenantRow):
    """Who delivers the tenant's messages just now: nobody else does before ``until``."""

    __tablename__ = "delivery_turns"
    holder: Mapped[str]
    until: Mapped[datetime]
