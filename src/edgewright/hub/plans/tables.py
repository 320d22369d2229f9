"""Tables of plans."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy.orm import Mapped, mapped_column

from edgewright.hub.database import Base, TenantRow


class Plan(Base, TenantRow):
    """One row for a tenant that has limits (``id`` is ``plan``)."""

    __tablename__ = "plans"
    id: Mapped[str] = mapped_column(primary_key=True, default="plan")
    name: Mapped[str]
    limits: Mapped[dict[str, Any]]
    changed: Mapped[datetime]
