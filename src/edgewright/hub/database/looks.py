"""Looks: one statement of a tenant's that needs no transaction around it, for a statement sees one state anyway. A
session, its place in the pool, its beginning and its end take as long as half a page of a list.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from sqlalchemy import ColumnElement, Engine, Row

from edgewright.core.closing import Closing
from edgewright.hub.database.scoping import Bound, values


class Rows(Protocol):
    """What runs a bound statement: a session (``Scoped``), or a ``Look``."""

    def rows(self, one: Bound, given: Mapping[str, Any], *where: ColumnElement[bool]) -> Sequence[Row[Any]]:
        """The tenant's rows of it, and ``where`` these hold besides."""
        ...


class Kept(Closing):
    """What a process has for looks, which only reads."""

    def run(self, one: Bound, tenant: str, given: Mapping[str, Any]) -> Sequence[Any] | None:
        """All rows; None for a statement that is not for it, when somebody else looks just now, or where the database
        has a fault, which is told elsewhere."""
        raise NotImplementedError


class Embedded(Kept):
    """SQLite's connection, used by one at a time; none waits for it."""

    def __init__(self, engine: Engine) -> None:
        self._engine, self._lock = engine, threading.Lock()
        self._connection: sqlite3.Connection | None = None

    def run(self, one: Bound, tenant: str, given: Mapping[str, Any]) -> Sequence[Any] | None:
        """See ``Kept``."""
        if one.plain is None or not self._lock.acquire(blocking=False):
            return None
        words, places = one.plain
        try:
            with contextlib.suppress(sqlite3.Error):
                return self._open().execute(words, places({**given, **values(one, tenant)})).fetchall()
            return None
        finally:
            self._lock.release()

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            taken = self._engine.raw_connection()
            connection: Any = taken.driver_connection
            taken.detach()
            connection.execute("PRAGMA query_only = ON")
            self._connection = connection
        return self._connection

    def close(self) -> None:
        """Close it; whoever looks just now is waited for."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None


class Look:
    """``session``: begins what is run in a session after all."""

    def __init__(
        self, kept: Kept, tenant: str, session: Callable[[], contextlib.AbstractContextManager[Rows]]
    ) -> None:  # fmt: skip
        self._kept, self._tenant, self._session = kept, tenant, session

    def rows(self, one: Bound, given: Mapping[str, Any], *where: ColumnElement[bool]) -> Sequence[Row[Any]]:
        """See ``Scoped.rows``."""
        found = None if where else self._kept.run(one, self._tenant, given)
        if found is not None:
            return found
        with self._session() as session:
            return session.rows(one, given, *where)
