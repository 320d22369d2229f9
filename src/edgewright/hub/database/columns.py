"""Columns and tables as migrations write them: a release's tables as they were, whatever the classes become."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy import BigInteger, Column, ForeignKeyConstraint, PrimaryKeyConstraint, String
from sqlalchemy.schema import SchemaItem

from edgewright.hub.database import Document, Instant
from edgewright.hub.database.guards import protect


def table(name: str, key: tuple[str, ...], *parts: SchemaItem) -> None:
    """A table of a TenantRow whose primary key is the tenant and ``key``, protected."""
    op.create_table(
        name, Column("tenant", String(40), nullable=False), *parts,
        PrimaryKeyConstraint("tenant", *key, name=f"pk_{name}"),
        ForeignKeyConstraint(["tenant"], ["tenants.id"], name=f"fk_{name}_tenant"),
    )  # fmt: skip
    protect(name)


def text(name: str, optional: bool = False) -> Column[str]:
    """Words."""
    return Column(name, sa.String(), nullable=optional)


def count(name: str) -> Column[int]:
    """A whole number."""
    return Column(name, BigInteger(), nullable=False, autoincrement=False)


def amount(name: str) -> Column[float]:
    """A number."""
    return Column(name, sa.Double(), nullable=False)


def moment(name: str, optional: bool = False) -> Column[BigInteger]:
    """An instant."""
    return Column(name, Instant(), nullable=optional)


def document(name: str, optional: bool = False) -> Column[Any]:
    """JSON."""
    return Column(name, Document, nullable=optional)


def octets(name: str, optional: bool = False) -> Column[bytes]:
    """Bytes."""
    return Column(name, sa.LargeBinary(), nullable=optional)
