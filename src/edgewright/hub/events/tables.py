"""Tables of events."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy.orm import Mapped, mapped_column

from edgewright.hub.database import Base, TenantRow


class Event(Base, TenantRow):
    """Something that happened. ``kind``: as ``job.state``; ``of``: the id of what it happened to."""

    __tablename__ = "events"
    seq: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    at: Mapped[datetime] = mapped_column(index=True)
    kind: Mapped[str]
    of: Mapped[str]
    data: Mapped[dict[str, Any]]


class Latest(Base, TenantRow):
    """The tenant's last number: who tells something holds this row until the transaction ends."""

    __tablename__ = "event_numbers"
    seq: Mapped[int]
