"""Engines: SQLite with a write-ahead log and honest transactions, PostgreSQL by its URL."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError

from edgewright.core.errors import InputError
from edgewright.hub.database import postgresql
from edgewright.hub.database.rows import WAIT_MS, WRITES

_JSON = json.JSONDecoder().raw_decode
_THREADS = 48  # more than the web's own threads, so that none waits for a connection while it holds another's lock


def read_document(text: str) -> Any:
    """A document that was written here, with no space around it, which ``json.loads`` would look for first."""
    return _JSON(text)[0]


def make_engine(url: str) -> Engine:
    """An engine for ``sqlite:///PATH`` or ``postgresql://USER[:PASSWORD]@HOST[:PORT]/NAME`` (libpq's spelling; a Unix
    socket as ``?host=/FOLDER``, TLS as ``?sslmode=require|verify-full&sslrootcert=FILE``).

    Raises InputError for any other URL.
    """
    try:
        told = make_url(url)
    except (ArgumentError, ValueError) as error:  # a port that is no number
        raise InputError("the database's URL cannot be read; write postgresql://USER@HOST/NAME") from error
    kind = told.get_backend_name()
    if kind == "sqlite" and told.database:
        return _sqlite(told)
    if kind == "postgresql" and told.database:
        return postgresql.make(told, _THREADS)
    if kind in ("sqlite", "postgresql"):
        raise InputError("the database's URL names no database; write postgresql://USER@HOST/NAME")
    raise InputError(f"no database of kind {kind[:20]!r} is known here; write postgresql://USER@HOST/NAME")


def _sqlite(url: URL) -> Engine:
    Path(url.database or "").parent.mkdir(parents=True, exist_ok=True)
    arguments = {"check_same_thread": False, "timeout": WAIT_MS / 1000}
    engine = create_engine(
        url, connect_args=arguments, pool_size=_THREADS, max_overflow=0, json_deserializer=read_document
    )

    @event.listens_for(engine, "connect")
    def connected(connection: sqlite3.Connection, _: Any) -> None:
        connection.isolation_level = None  # the driver begins nothing by itself; we say BEGIN
        _write_ahead(connection)
        for word in ("synchronous = FULL", "foreign_keys = ON", "trusted_schema = OFF"):
            connection.execute(f"PRAGMA {word}")

    @event.listens_for(engine, "begin")
    def begun(connection: Connection) -> None:
        # A transaction that first reads and then writes cannot wait for another writer: it takes its place at the
        # start.
        writes = connection.get_execution_options().get(WRITES, True)
        if connection.info.get(WRITES) is not writes:
            connection.exec_driver_sql(f"PRAGMA query_only = {'OFF' if writes else 'ON'}")
            connection.info[WRITES] = writes
        if writes:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        else:  # takes no lock, so nothing of it can fail: without SQLAlchemy's care, a tenth of a short list's time
            connection.connection.driver_connection.execute("BEGIN")  # type: ignore[union-attr]

    return engine


def _write_ahead(connection: sqlite3.Connection) -> None:
    """Give the database its write-ahead log. SQLite fails at once, whatever the timeout, when another process is about
    to do the same; a transaction waits for that one.
    """
    for _ in range(_THREADS):
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
                raise
            connection.execute("BEGIN EXCLUSIVE")
            connection.execute("ROLLBACK")
        else:
            return
    raise sqlite3.OperationalError("database is locked")
