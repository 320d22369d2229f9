"""Tenants, users, logins, tokens, the audit log, identity providers; keys of requests that may come twice."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy import BigInteger, Boolean, Column, ForeignKeyConstraint, PrimaryKeyConstraint, String, UniqueConstraint
from sqlalchemy.schema import SchemaItem

from edgewright.hub.database import Document, Instant
from edgewright.hub.database.guards import only_grows, protect

revision = "accounts_0001"
down_revision = None
branch_labels = ("accounts",)
depends_on = None


def upgrade() -> None:
    """Make them."""
    op.create_table(
        "tenants", _text("id"), _text("name"), Column("development", Boolean(), nullable=False), _moment("made"),
        PrimaryKeyConstraint("id", name="pk_tenants"), UniqueConstraint("name", name="uq_tenants_name"),
    )  # fmt: skip
    protect("tenants", "id")
    _table(
        "users", "id", _text("id"), _text("name"), _text("shown"), Column("roles", Document, nullable=False),
        Column("active", Boolean(), nullable=False), _text("password", True), _moment("password_until", True),
        _text("issuer", True), _text("subject", True), _count("failures"), _moment("failed", True), _moment("made"),
        UniqueConstraint("tenant", "name", name="uq_users_tenant_name"),
        UniqueConstraint("tenant", "issuer", "subject", name="uq_users_tenant_issuer_subject"),
    )  # fmt: skip
    _table(
        "logins", "id", _text("id"), _text("user"), _text("digest"), _moment("made"), _moment("until"), _owner("logins")
    )
    _table(
        "tokens", "id", _text("id"), _text("user"), _text("name"), Column("scopes", Document, nullable=False),
        _text("digest"), _moment("made"), _moment("until"), _moment("revoked", True), _owner("tokens"),
    )  # fmt: skip
    op.create_index("ix_tokens_tenant_user", "tokens", ["tenant", "user"])
    _table(
        "audit", "number", _count("number"), _moment("at"), _text("actor"), _text("action"), _text("subject"),
        _text("detail"), _text("request"), _text("digest"),
    )  # fmt: skip
    only_grows("audit")
    _table("audit_heads", "", _count("number"), _text("digest"))
    _table(
        "identity_providers", "", _text("issuer"), _text("client"), _text("secret"), _text("claim"),
        Column("roles", Document, nullable=False), _moment("changed"),
    )  # fmt: skip
    _table("login_attempts", "id", _text("id"), _text("digest"), _text("secrets"), _text("page"), _moment("until"))
    _table("idempotency", "id", _text("id"), _text("asked"), _count("status"), _text("answer"), _moment("until"))
    op.create_index("ix_idempotency_until", "idempotency", ["until"])


def _table(name: str, key: str, *parts: SchemaItem) -> None:
    own = ("tenant", key) if key else ("tenant",)
    op.create_table(
        name, Column("tenant", String(40), nullable=False), *parts, PrimaryKeyConstraint(*own, name=f"pk_{name}"),
        ForeignKeyConstraint(["tenant"], ["tenants.id"], name=f"fk_{name}_tenant"),
    )  # fmt: skip
    protect(name)


def _owner(table: str) -> ForeignKeyConstraint:
    return ForeignKeyConstraint(
        ["tenant", "user"], ["users.tenant", "users.id"], name=f"fk_{table}_tenant_user", ondelete="CASCADE"
    )


def _text(name: str, optional: bool = False) -> Column[str]:
    return Column(name, sa.String(), nullable=optional)


def _count(name: str) -> Column[int]:
    return Column(name, BigInteger(), nullable=False, autoincrement=False)


def _moment(name: str, optional: bool = False) -> Column[sa.BigInteger]:
    return Column(name, Instant(), nullable=optional)
