"""Tables of the store of objects."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Mapped, mapped_column

from edgewright.hub.database import Base, TenantRow


class Arrival(Base, TenantRow):
    """An object (``KIND/SHA256``) that is being stored before a row names it: nobody removes it before ``until``."""

    __tablename__ = "arrivals"
    object: Mapped[str] = mapped_column(primary_key=True)
    until: Mapped[datetime]
