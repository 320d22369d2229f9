"""Tables of artifacts."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Index
from sqlalchemy.orm import Mapped, mapped_column

from edgewright.hub.database import Base, TenantRow
from edgewright.hub.ids import new_id


class Artifact(Base, TenantRow):
    """A file that people download. ``bundle``: the digest of the one it was made of, or ``job`` whose report it is (the
    other is ""). ``release``: of Edgewright that made it; ``object``: ``KIND/SHA256`` with its ``length`` bytes, which
    may be the library's or a job's own; ``facts``: what is told of it. Gone at ``until``. ``id`` sorts by making."""

    __tablename__ = "artifacts"
    __table_args__ = (
        Index("ix_artifacts_tenant_of", "tenant", "bundle", "job", "kind"), Index("ix_artifacts_until", "until"),
        Index("ix_artifacts_tenant_object", "tenant", "object"),
    )  # fmt: skip
    id: Mapped[str] = mapped_column(primary_key=True, default=lambda: new_id("art"))
    kind: Mapped[str]
    bundle: Mapped[str] = mapped_column(default="")
    job: Mapped[str] = mapped_column(default="")
    name: Mapped[str]
    version: Mapped[str]
    release: Mapped[str]
    filename: Mapped[str]
    object: Mapped[str]
    length: Mapped[int]
    facts: Mapped[dict[str, Any]]
    by: Mapped[str]
    made: Mapped[datetime]
    until: Mapped[datetime]
