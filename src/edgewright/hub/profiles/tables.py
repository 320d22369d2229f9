"""Tables of profiles."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from edgewright.hub.database import Base, TenantRow
from edgewright.hub.ids import new_id


class Profile(Base, TenantRow):
    """A device class of the tenant's own. ``target``: the document of a target's file; ``origin``: where it is from."""

    __tablename__ = "profiles"
    __table_args__ = (UniqueConstraint("tenant", "name"),)
    id: Mapped[str] = mapped_column(primary_key=True, default=lambda: new_id("prf"))
    name: Mapped[str]
    target: Mapped[dict[str, Any]]
    origin: Mapped[str]
    by: Mapped[str]
    made: Mapped[datetime]
    changed: Mapped[datetime]


class Fit(Base, TenantRow):
    """What was told of a version on a target (``target``: the digest of its document); computed once."""

    __tablename__ = "fits"
    version: Mapped[str] = mapped_column(primary_key=True)
    target: Mapped[str] = mapped_column(primary_key=True)
    told: Mapped[dict[str, Any]]
    made: Mapped[datetime]
