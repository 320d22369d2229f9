"""Tables of the services page."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Text
from sqlalchemy.orm import Mapped, mapped_column

from edgewright.hub.database import Base, TenantRow


class ServicesPage(Base, TenantRow):
    """One row for a tenant that has written one. ``revision`` counts its changes."""

    __tablename__ = "services_pages"
    text: Mapped[str] = mapped_column(Text)
    revision: Mapped[int]
    by: Mapped[str]
    changed: Mapped[datetime]
