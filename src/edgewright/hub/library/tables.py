"""Tables of the library. Digests are SHA-256 in hexadecimal."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Index
from sqlalchemy.orm import Mapped, mapped_column

from edgewright.hub.database import Base, TenantRow
from edgewright.hub.ids import new_id


class Bundle(Base, TenantRow):
    """A verified bundle by the ``digest`` of its manifest, by which devices and people know it.

    ``file``: digest of its single file, ``length`` bytes; ``hardware``: names of the targets it is for (none: any);
    ``signer``: public key, hexadecimal; ``evidence``: what it promises, and what was measured; ``files``: name ->
    [digest, bytes, where it begins in the single file]. ``released``: the published targets name it. ``source``: digest
    of the model that it was made of ("": not read yet, of one that came to an older release). ``id`` sorts by arrival.
    """

    __tablename__ = "bundles"
    __table_args__ = (
        Index("ix_bundles_tenant_id", "tenant", "id"),
        Index("ix_bundles_tenant_source", "tenant", "source", "digest"),
    )
    digest: Mapped[str] = mapped_column(primary_key=True)
    id: Mapped[str] = mapped_column(default=lambda: new_id("bun"))
    file: Mapped[str]
    length: Mapped[int]
    name: Mapped[str]
    version: Mapped[str]
    hardware: Mapped[list[str]]
    engines: Mapped[list[str]]
    signer: Mapped[str]
    evidence: Mapped[dict[str, Any]]
    files: Mapped[dict[str, Any]]
    released: Mapped[bool] = mapped_column(default=False)
    made: Mapped[datetime]
    source: Mapped[str] = mapped_column(default="")


class Piece(Base, TenantRow):
    """Bytes that are fetched by their digest: ``length`` bytes from ``start`` of an object (``KIND/SHA256``).

    ``owner``: the bundle they belong to, or ``NEW/OLD`` for a chunk of a delta.
    """

    __tablename__ = "pieces"
    __table_args__ = (Index("ix_pieces_tenant_owner", "tenant", "owner"),)
    digest: Mapped[str] = mapped_column(primary_key=True)
    owner: Mapped[str] = mapped_column(primary_key=True)
    object: Mapped[str]
    start: Mapped[int]
    length: Mapped[int]


class Delta(Base, TenantRow):
    """What turns the bundle ``old`` into ``new``. ``state``: wanted, making (by somebody, ``until`` then), made, whole.

    ``object``: where recipe and chunks lie; the recipe is ``length`` bytes from ``start``.
    """

    __tablename__ = "deltas"
    new: Mapped[str] = mapped_column(primary_key=True)
    old: Mapped[str] = mapped_column(primary_key=True)
    state: Mapped[str]
    tries: Mapped[int] = mapped_column(default=0)
    object: Mapped[str] = mapped_column(default="")
    start: Mapped[int] = mapped_column(default=0)
    length: Mapped[int] = mapped_column(default=0)
    asked: Mapped[datetime]
    until: Mapped[datetime]


class Metadata(Base, TenantRow):
    """A file of the update metadata. ``until``: when one that was replaced is removed; null for those that hold.
    ``expires``: when its role's metadata ends."""

    __tablename__ = "metadata"
    name: Mapped[str] = mapped_column(primary_key=True)
    role: Mapped[str]
    version: Mapped[int]
    data: Mapped[bytes]
    expires: Mapped[datetime]
    until: Mapped[datetime | None]


class Publication(Base, TenantRow):
    """One row for a tenant (``id`` is ``updates``): who holds it publishes, and nobody else meanwhile.

    ``partial``: targets that some key-holders have signed, and not yet enough of them.
    """

    __tablename__ = "publications"
    id: Mapped[str] = mapped_column(primary_key=True, default="updates")
    partial: Mapped[bytes | None]
    published: Mapped[datetime | None]


class Pending(Base, TenantRow):
    """A bundle that waits for the release key. ``release``: what it is to be released as."""

    __tablename__ = "pending"
    bundle: Mapped[str] = mapped_column(primary_key=True)
    release: Mapped[str]
    asked: Mapped[datetime]


class Hold(Base, TenantRow):
    """A bundle that ``holder`` (a rollout) needs: it is neither withdrawn nor removed meanwhile."""

    __tablename__ = "holds"
    __table_args__ = (Index("ix_holds_tenant_bundle", "tenant", "bundle"),)
    holder: Mapped[str] = mapped_column(primary_key=True)
    bundle: Mapped[str] = mapped_column(primary_key=True)
