"""Tables of models. Digests are SHA-256 in hexadecimal."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from edgewright.hub.database import Base, TenantRow
from edgewright.hub.ids import new_id


class Model(Base, TenantRow):
    """What has versions: ``count`` of them now, ``numbers`` ever; ``newest``: the id of the latest ("": none). ``id``
    sorts by making."""

    __tablename__ = "models"
    __table_args__ = (UniqueConstraint("tenant", "name"),)
    id: Mapped[str] = mapped_column(primary_key=True, default=lambda: new_id("mod"))
    name: Mapped[str]
    description: Mapped[str] = mapped_column(default="")
    numbers: Mapped[int] = mapped_column(default=0)
    count: Mapped[int] = mapped_column(default=0)
    newest: Mapped[str] = mapped_column(default="")
    by: Mapped[str]
    made: Mapped[datetime]


class Checked:
    """What came by an upload. ``state``: checking (by somebody, ``until`` then; for the ``tries``-th time), ready or
    refused for a ``reason``. ``file``: digest of the file as it came, ``length`` bytes; "" until it was joined.
    ``upload``: which one it came by."""

    state: Mapped[str] = mapped_column(default="checking")
    reason: Mapped[str] = mapped_column(default="")
    filename: Mapped[str]
    file: Mapped[str] = mapped_column(default="")
    length: Mapped[int]
    upload: Mapped[str]
    until: Mapped[datetime]
    tries: Mapped[int] = mapped_column(default=0)
    by: Mapped[str]
    made: Mapped[datetime]


class Version(Base, TenantRow, Checked):
    """One version of a model. ``digest``: of the model as compilers know it; ``files``: name -> [digest, bytes] of its
    ONNX form, ``model.onnx`` first among them; ``graph``: object with its layers; ``parent``, ``job``: the version it
    was made of and what made it ("": uploaded)."""

    __tablename__ = "versions"
    __table_args__ = (
        Index("ix_versions_tenant_model", "tenant", "model", "number"), Index("ix_versions_state", "state"),
        Index("ix_versions_tenant_parent", "tenant", "parent"), Index("ix_versions_tenant_digest", "tenant", "digest"),
        Index("ix_versions_tenant_job", "tenant", "job"),
    )  # fmt: skip
    id: Mapped[str] = mapped_column(primary_key=True, default=lambda: new_id("ver"))
    model: Mapped[str]
    number: Mapped[int]
    stage: Mapped[str] = mapped_column(default="registered")
    note: Mapped[str] = mapped_column(default="")
    format: Mapped[str] = mapped_column(default="")
    digest: Mapped[str] = mapped_column(default="")
    files: Mapped[dict[str, Any]] = mapped_column(default=dict)
    graph: Mapped[str] = mapped_column(default="")
    signature: Mapped[dict[str, Any]] = mapped_column(default=dict)
    facts: Mapped[dict[str, Any]] = mapped_column(default=dict)
    parent: Mapped[str] = mapped_column(default="")
    job: Mapped[str] = mapped_column(default="")


class Dataset(Base, TenantRow, Checked):
    """Samples. ``reading``: how they are read (labels, preprocessing, missing), as ``datasets.dataset`` takes it."""

    __tablename__ = "datasets"
    __table_args__ = (Index("ix_datasets_state", "state"),)
    id: Mapped[str] = mapped_column(primary_key=True, default=lambda: new_id("dat"))
    name: Mapped[str]
    reading: Mapped[dict[str, Any]] = mapped_column(default=dict)
    facts: Mapped[dict[str, Any]] = mapped_column(default=dict)


class Upload(Base, TenantRow):
    """A file on its way: ``offset`` of ``length`` bytes are here. ``of``: the model it will be a version of ("": a data
    set); ``wish``: what becomes of it beside; ``sha256``: what it must be ("": not said); ``result``: the version or
    data set it has become ("": not whole yet). Without a byte until ``until`` it is given up."""

    __tablename__ = "uploads"
    __table_args__ = (Index("ix_uploads_until", "until"),)
    id: Mapped[str] = mapped_column(primary_key=True, default=lambda: new_id("upl"))
    kind: Mapped[str]
    of: Mapped[str] = mapped_column(default="")
    wish: Mapped[dict[str, Any]] = mapped_column(default=dict)
    filename: Mapped[str]
    length: Mapped[int]
    offset: Mapped[int] = mapped_column(default=0)
    sha256: Mapped[str] = mapped_column(default="")
    result: Mapped[str] = mapped_column(default="")
    by: Mapped[str]
    made: Mapped[datetime]
    until: Mapped[datetime]


class Part(Base, TenantRow):
    """Bytes of an upload from ``start`` on, ``length`` of them, in an object (``parts/SHA256``)."""

    __tablename__ = "upload_parts"
    __table_args__ = (Index("ix_upload_parts_tenant_object", "tenant", "object"),)
    upload: Mapped[str] = mapped_column(primary_key=True)
    start: Mapped[int] = mapped_column(primary_key=True)
    length: Mapped[int]
    object: Mapped[str]
