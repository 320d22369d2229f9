"""Database: transactions inside one tenant."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Connection, Engine, event, func, select
from sqlalchemy import Row as Row_
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.orm import Session
from sqlalchemy.pool import ConnectionPoolEntry

from edgewright.core.closing import Closing
from edgewright.core.errors import Unavailable
from edgewright.hub.database.engines import make_engine
from edgewright.hub.database.looks import Embedded, Kept, Look
from edgewright.hub.database.rows import EVERY, TENANT, WAIT_MS, WRITES
from edgewright.hub.database.scoping import Bound, scope, stamp, values
from edgewright.hub.database.served import Served
from edgewright.hub.errors import Absent, Unscoped

Row = TypeVar("Row")


class Scoped(Session):
    """A session inside one tenant: see the package."""

    def __init__(self, engine: Engine, tenant: str) -> None:
        super().__init__(engine, expire_on_commit=False, info={"tenant": tenant})

    @property
    def tenant(self) -> str:
        """The tenant's id, or EVERY."""
        found: str = self.info["tenant"]
        return found

    def find(self, kind: type[Row], *key: str) -> Row:
        """The tenant's row with this key (without the tenant). Raises Absent."""
        row = self.get(kind, (self.tenant, *key))
        if row is None:
            raise Absent(f"there is no {kind.__name__.lower()} {key[-1][:64]!r}")
        return row

    def rows(self, one: Bound, given: Mapping[str, Any], *where: ColumnElement[bool]) -> Sequence[Row_[Any]]:
        """The tenant's rows of a statement that was bound before, and ``where`` these hold besides. Objects that were
        changed in this transaction are not written first."""
        connection, known = super().connection(), {**given, **values(one, self.tenant)}
        if not where and connection.dialect.name == "sqlite" and one.plain is not None:
            words, places = one.plain
            with contextlib.suppress(sqlite3.Error):  # it is told below, as what it is
                driver: Any = connection.connection.driver_connection
                return driver.execute(words, places(known)).fetchall()  # type: ignore[no-any-return]
        query = one.statement.where(*where) if where else one.statement
        return connection.execute(query, known).all()

    def lock(self, kind: type[Row], *key: str) -> Row:
        """``find``, and nobody else changes the row until this transaction is over."""
        row = self.get(kind, (self.tenant, *key), with_for_update=True, populate_existing=True)
        if row is None:
            raise Absent(f"there is no {kind.__name__.lower()} {key[-1][:64]!r}")
        return row

    def hold(self, kind: type[Row], *key: str) -> Row:
        """``find``, and nobody removes the row until this transaction is over."""
        row = self.get(kind, (self.tenant, *key), with_for_update={"read": True, "key_share": True})
        if row is None:
            raise Absent(f"there is no {kind.__name__.lower()} {key[-1][:64]!r}")
        return row

    def take_turn(self, what: str) -> None:
        """One at a time in this tenant, until this transaction is over. (SQLite has one writer anyway.)"""
        if self.get_bind().dialect.name == "postgresql":
            turn = func.pg_advisory_xact_lock(func.hashtextextended(f"{self.tenant}/{what}", 0))
            super().connection().execute(select(turn))  # touches no table, and so no tenant

    def connection(self, *arguments: Any, **options: Any) -> Connection:
        """Refused inside a tenant: statements on the connection itself would not be bound to it."""
        if self.tenant != EVERY:
            raise Unscoped("a tenant's session does not hand out its connection")
        return super().connection(*arguments, **options)


event.listen(Scoped, "do_orm_execute", scope)
event.listen(Scoped, "before_flush", stamp)


class Database(Closing):
    """All tables behind one URL. Its transactions may be opened from any thread."""

    def __init__(self, url: str) -> None:
        self.engine, self.url = make_engine(url), url
        self.embedded = self.engine.dialect.name == "sqlite"
        """Whether it runs in this process, and a short look at it waits for nobody."""
        self._engine = lru_cache(1024)(self._engine_of)
        self._writer = threading.Lock() if self.embedded else contextlib.nullcontext()
        self._kept: Kept = Embedded(self.engine) if self.embedded else Served(self.engine)

    @contextlib.contextmanager
    def read(self, tenant: str) -> Iterator[Scoped]:
        """A transaction that sees one state and changes nothing. Raises Unscoped without a tenant."""
        with self._session(tenant, writes=False) as session, session.begin():
            yield session

    @contextlib.contextmanager
    def write(self, tenant: str) -> Iterator[Scoped]:
        """A transaction that is committed at the end of the block, and rolled back when it raises.

        One at a time on SQLite: keep it short, and compute before it. Raises Unscoped without a tenant, StorageError
        when no turn came in time.
        """
        with self._turn(), self._session(tenant, writes=True) as session, session.begin():
            yield session

    def look(self, tenant: str) -> Look:
        """What runs one statement that was bound before, for which nothing else needs to be seen in the same state.
        Raises Unscoped without a tenant."""
        if not tenant:
            raise Unscoped("no tenant was given")
        return Look(self._kept, tenant, lambda: self.read(tenant))

    def close(self) -> None:
        """Close every connection; one that is in use, as soon as it is given back."""
        self._kept.close()
        event.listen(self.engine, "checkin", _close)
        self.engine.dispose()

    def _engine_of(self, tenant: str, writes: bool) -> Engine:
        return self.engine.execution_options(**{TENANT: tenant, WRITES: writes})

    def _session(self, tenant: str, writes: bool) -> Scoped:
        if not tenant:
            raise Unscoped("no tenant was given")
        return Scoped(self._engine(tenant, writes), tenant)

    @contextlib.contextmanager
    def _turn(self) -> Iterator[None]:
        """SQLite lets writers wait by polling, and the last to come may be the first to get it; a lock does not."""
        lock = self._writer
        if isinstance(lock, contextlib.nullcontext):
            yield
            return
        if not lock.acquire(timeout=WAIT_MS / 1000):
            raise Unavailable("the database is busy; try again in a moment")
        try:
            yield
        finally:
            lock.release()


def _close(_: DBAPIConnection | None, record: ConnectionPoolEntry) -> None:
    record.close()
