"""What rows are made of: the base of all tables, the tenant that most belong to, instants and documents."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

from sqlalchemy import JSON, BigInteger, Dialect, Double, ForeignKey, MetaData, String
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.engine.default import DefaultExecutionContext
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import TypeDecorator

TENANT = "edgewright_tenant"
"""The execution option that a session's connection carries."""
WRITES = "edgewright_writes"
"""The execution option of a connection whose transaction may write. Absent: it may."""
WAIT_MS = 15_000
"""How long a transaction waits for another's lock."""
EVERY = "*"
"""In a tenant's place: all of them, for the hub's own housekeeping."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


class Instant(TypeDecorator[datetime]):
    """A moment, kept as whole milliseconds since 1970 (UTC): it sorts and compares alike in every database."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:
        """A moment without a time zone is a fault of the program: ValueError."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a moment needs its time zone")
        return (value - _EPOCH) // _MILLISECOND

    def process_result_value(self, value: int | None, dialect: Dialect) -> datetime | None:
        """Back to a moment in UTC."""
        return None if value is None else _EPOCH + value * _MILLISECOND


Document = JSON().with_variant(JSONB(), "postgresql")
"""A JSON value. Strings in it hold no NUL character: PostgreSQL does not take one."""


class Base(DeclarativeBase):
    """Base of all tables. Constraints have names, so that a migration can speak of them."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(column_0_N_label)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        int: BigInteger, float: Double, datetime: Instant, dict[str, Any]: Document, list[str]: Document
    }  # fmt: skip


def _of_session(context: DefaultExecutionContext) -> str | None:
    """The tenant of the session that inserts; for statements, as the ORM's own objects are stamped before a flush."""
    tenant: str | None = context.root_connection.get_execution_options().get(TENANT)
    return tenant


class TenantRow:
    """A row that belongs to one tenant, whose id is the first part of its primary key.

    Other rows are referred to with the tenant in the key, so that no reference can leave it.
    """

    tenant: Mapped[str] = mapped_column(
        String(40), ForeignKey("tenants.id"), primary_key=True, default=_of_session, sort_order=-100
    )


class TenantItself:
    """The row of a tenant itself: inside a tenant, only its own is seen."""

    id: Mapped[str] = mapped_column(primary_key=True)


class HubRow:
    """A row of the hub's own, which every tenant may see and only its housekeeping writes (``Database.write(EVERY)``).
    It holds nothing of any tenant's."""
