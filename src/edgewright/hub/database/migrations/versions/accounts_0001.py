"""Tenants, users, logins, tokens, the audit log, identity providers; keys of requests that may come twice."""

from __future__ import annotations

from alembic import op
from sqlalchemy import Boolean, Column, ForeignKeyConstraint, PrimaryKeyConstraint, UniqueConstraint

from edgewright.hub.database.columns import count, document, moment, table, text
from edgewright.hub.database.guards import only_grows, protect

revision = "accounts_0001"
down_revision = None
branch_labels = ("accounts",)
depends_on = None


def upgrade() -> None:
    """Make them."""
    op.create_table(
        "tenants", text("id"), text("name"), Column("development", Boolean(), nullable=False), moment("made"),
        PrimaryKeyConstraint("id", name="pk_tenants"), UniqueConstraint("name", name="uq_tenants_name"),
    )  # fmt: skip
    protect("tenants", "id")
    table(
        "users", ("id",), text("id"), text("name"), text("shown"), document("roles"),
        Column("active", Boolean(), nullable=False), text("password", True), moment("password_until", True),
        text("issuer", True), text("subject", True), count("failures"), moment("failed", True), moment("made"),
        UniqueConstraint("tenant", "name", name="uq_users_tenant_name"),
        UniqueConstraint("tenant", "issuer", "subject", name="uq_users_tenant_issuer_subject"),
    )  # fmt: skip
    table(
        "logins", ("id",), text("id"), text("user"), text("digest"), moment("made"), moment("until"), _owner("logins")
    )
    table(
        "tokens", ("id",), text("id"), text("user"), text("name"), document("scopes"),
        text("digest"), moment("made"), moment("until"), moment("revoked", True), _owner("tokens"),
    )  # fmt: skip
    op.create_index("ix_tokens_tenant_user", "tokens", ["tenant", "user"])
    table(
        "audit", ("number",), count("number"), moment("at"), text("actor"), text("action"), text("subject"),
        text("detail"), text("request"), text("digest"),
    )  # fmt: skip
    only_grows("audit")
    table("audit_heads", (), count("number"), text("digest"))
    table("identity_providers", (), text("issuer"), text("client"), text("secret"), text("claim"),
        document("roles"), moment("changed"),
    )  # fmt: skip
    table("login_attempts", ("id",), text("id"), text("digest"), text("secrets"), text("page"), moment("until"))
    table("idempotency", ("id",), text("id"), text("asked"), count("status"), text("answer"), moment("until"))
    op.create_index("ix_idempotency_until", "idempotency", ["until"])


def _owner(table: str) -> ForeignKeyConstraint:
    return ForeignKeyConstraint(
        ["tenant", "user"], ["users.tenant", "users.id"], name=f"fk_{table}_tenant_user", ondelete="CASCADE"
    )
