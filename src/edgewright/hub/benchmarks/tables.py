"""Tables of benchmarks."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Index
from sqlalchemy.orm import Mapped, mapped_column

from edgewright.hub.database import Base, Document, TenantRow
from edgewright.hub.ids import new_id


class Benchmark(Base, TenantRow):
    """What was asked for. ``subjects``: each with its ``id`` (a version's, or a bundle's digest), ``kind`` and
    ``name``; the first is what the others are compared with. ``job``: of the hub's worker, "" for none. ``id`` sorts by
    making."""

    __tablename__ = "benchmarks"
    __table_args__ = (Index("ix_benchmarks_tenant_made", "tenant", "made"),)
    id: Mapped[str] = mapped_column(primary_key=True, default=lambda: new_id("bmk"))
    name: Mapped[str]
    subjects: Mapped[list[dict[str, Any]]] = mapped_column(Document)
    seconds: Mapped[float]
    seed: Mapped[int]
    job: Mapped[str]
    by: Mapped[str]
    made: Mapped[datetime]
