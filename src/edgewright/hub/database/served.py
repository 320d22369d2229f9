"""Looks at a server: a statement of its own is a transaction of its own, so that a list takes one round trip."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from edgewright.hub.database.looks import Kept
from edgewright.hub.database.postgresql import check_id
from edgewright.hub.database.scoping import Bound, values

_AT_ONCE = 4  # more do not get further: reading rows takes the interpreter's lock
_WAIT_S = 1.0


class Served(Kept):
    """PostgreSQL's connections for looks, beside the pool's. Each only reads, gives documents as their text, and is
    asked for the tenant that it was asked for last where one such is free: the policies of row-level security compare
    with that one, and the statement is bound to it besides."""

    def __init__(self, engine: Engine) -> None:
        self._engine, self._turns = engine, threading.BoundedSemaphore(_AT_ONCE)
        self._free: list[tuple[str, Any]] = []
        self._lock, self._closed = threading.Lock(), False

    def run(self, one: Bound, tenant: str, given: Mapping[str, Any]) -> Sequence[Any] | None:
        """See ``Kept``; whoever looks waits a little for a turn."""
        if one.named is None or not self._turns.acquire(timeout=_WAIT_S):
            return None
        words, places = one.named
        try:
            known, change = places({**given, **values(one, tenant)}), f"SET edgewright.tenant = '{check_id(tenant)}'"
            return self._asked(tenant, change, words, known)
        except (SQLAlchemyError, self._engine.dialect.loaded_dbapi.Error):
            return None
        finally:
            self._turns.release()

    def _asked(self, tenant: str, change: str, words: str, known: Any) -> list[Any]:
        held, connection = self._take(tenant)
        try:
            if held != tenant:
                connection.execute(change, prepare=False)
            found: list[Any] = connection.execute(words, known).fetchall()
        except BaseException:
            connection.close()
            raise
        self._give(tenant, connection)
        return found

    def _take(self, tenant: str) -> tuple[str, Any]:
        with self._lock:
            if self._free:
                at = next((i for i, (held, _) in enumerate(self._free) if held == tenant), -1)
                return self._free.pop(at)
        from psycopg.types.string import TextLoader

        taken = self._engine.raw_connection()
        connection: Any = taken.driver_connection
        connection.execute("SET default_transaction_read_only = on")
        taken.detach()
        for kind in ("json", "jsonb"):
            connection.adapters.register_loader(kind, TextLoader)
        return "", connection

    def _give(self, tenant: str, connection: Any) -> None:
        with self._lock:
            if not self._closed:
                self._free.append((tenant, connection))
                return
        connection.close()

    def close(self) -> None:
        """Close those that are free; the others when they come back."""
        with self._lock:
            self._closed, free = True, self._free
            self._free = []
        for _, connection in free:
            connection.close()
