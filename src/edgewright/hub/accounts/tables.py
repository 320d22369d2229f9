"""Tables of the accounts. Secrets stand here as digests only, but for the provider's, which is sealed."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKeyConstraint, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from edgewright.hub.database import Base, TenantItself, TenantRow
from edgewright.hub.ids import new_id


class Tenant(Base, TenantItself):
    """A team and all that is its own. ``development``: its release key may lie online, and every answer that names the
    tenant says so."""

    __tablename__ = "tenants"
    name: Mapped[str] = mapped_column(unique=True)
    development: Mapped[bool] = mapped_column(default=False)
    made: Mapped[datetime]


class User(Base, TenantRow):
    """A person. ``name`` is what they log in with. ``issuer`` and ``subject``: who they are at the OpenID provider.
    ``password_until``: a one-time password, which has to be replaced, and does not hold after that moment."""

    __tablename__ = "users"
    __table_args__ = (UniqueConstraint("tenant", "name"), UniqueConstraint("tenant", "issuer", "subject"))
    id: Mapped[str] = mapped_column(primary_key=True, default=lambda: new_id("usr"))
    name: Mapped[str]
    shown: Mapped[str] = mapped_column(default="")
    roles: Mapped[list[str]]
    active: Mapped[bool] = mapped_column(default=True)
    password: Mapped[str | None]
    password_until: Mapped[datetime | None]
    issuer: Mapped[str | None]
    subject: Mapped[str | None]
    failures: Mapped[int] = mapped_column(default=0)
    failed: Mapped[datetime | None]
    made: Mapped[datetime]


class Login(Base, TenantRow):
    """One browser that is logged in, by cookie."""

    __tablename__ = "logins"
    __table_args__ = (ForeignKeyConstraint(["tenant", "user"], ["users.tenant", "users.id"], ondelete="CASCADE"),)
    id: Mapped[str] = mapped_column(primary_key=True)
    user: Mapped[str]
    digest: Mapped[str]
    made: Mapped[datetime]
    until: Mapped[datetime]


class Token(Base, TenantRow):
    """An API token. It may what its scopes name and its user still may."""

    __tablename__ = "tokens"
    __table_args__ = (
        ForeignKeyConstraint(["tenant", "user"], ["users.tenant", "users.id"], ondelete="CASCADE"),
        Index("ix_tokens_tenant_user", "tenant", "user"),
    )
    id: Mapped[str] = mapped_column(primary_key=True)
    user: Mapped[str]
    name: Mapped[str]
    scopes: Mapped[list[str]]
    digest: Mapped[str]
    made: Mapped[datetime]
    until: Mapped[datetime]
    revoked: Mapped[datetime | None]


class Entry(Base, TenantRow):
    """One line of the audit log: see ``chain``. Never changed, never removed; the database holds that too.

    ``actor`` and ``detail`` are canonical JSON as text: a database's own JSON may spell a number in another way, and
    the digest would not hold.
    """

    __tablename__ = "audit"
    __table_args__ = (Index("ix_audit_tenant_action", "tenant", "action", "at"),)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    at: Mapped[datetime]
    actor: Mapped[str]
    action: Mapped[str]
    subject: Mapped[str]
    detail: Mapped[str]
    request: Mapped[str]
    digest: Mapped[str]


class Head(Base, TenantRow):
    """The last line of a tenant's audit log: who appends holds this row."""

    __tablename__ = "audit_heads"
    number: Mapped[int]
    digest: Mapped[str]


class Provider(Base, TenantRow):
    """The tenant's OpenID provider. ``roles``: what the values of ``claim`` mean here. ``secret`` is sealed."""

    __tablename__ = "identity_providers"
    issuer: Mapped[str]
    client: Mapped[str]
    secret: Mapped[str]
    claim: Mapped[str]
    roles: Mapped[dict[str, Any]]
    changed: Mapped[datetime]


class Attempt(Base, TenantRow):
    """A login at the provider that was begun and has not come back. ``secrets``: verifier and nonce, sealed."""

    __tablename__ = "login_attempts"
    id: Mapped[str] = mapped_column(primary_key=True)
    digest: Mapped[str]
    secrets: Mapped[str]
    page: Mapped[str]
    until: Mapped[datetime]
