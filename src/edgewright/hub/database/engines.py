"""Engines: SQLite with a write-ahead log and honest transactions, PostgreSQL by its URL."""

from __future__ import annotations

import json
import re
import socket
import sqlite3
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError

from edgewright.core.errors import InputError
from edgewright.hub.database.rows import TENANT
from edgewright.hub.errors import Unscoped

WRITES = "edgewright_writes"
"""The execution option of a connection whose transaction may write. Absent: it may."""
_WAIT_MS = 15_000
SILENCE = {"TCP_KEEPIDLE": 10, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 3, "TCP_USER_TIMEOUT": 25_000}
"""In s, s, times and ms: see tcp(7)."""
_JSON = json.JSONDecoder().raw_decode
_ID = re.compile(r"[a-z0-9_]*|\*")
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
    except ArgumentError as error:
        raise InputError("the database's URL cannot be read; write postgresql://USER@HOST/NAME") from error
    kind = told.get_backend_name()
    if kind == "sqlite" and told.database:
        return _sqlite(told)
    if kind == "postgresql" and told.database:
        return _postgresql(told)
    raise InputError(f"no database of kind {kind[:20]!r} is known here; write postgresql://USER@HOST/NAME")


def _sqlite(url: URL) -> Engine:
    Path(url.database or "").parent.mkdir(parents=True, exist_ok=True)
    arguments = {"check_same_thread": False, "timeout": _WAIT_MS / 1000}
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


def _postgresql(url: URL) -> Engine:
    arguments = _dialled(url.query)
    plain = url.set(drivername="postgresql+pg8000", query={})
    engine = create_engine(
        plain, connect_args=arguments, pool_size=_THREADS, max_overflow=0, pool_pre_ping=True, pool_recycle=1800
    )

    @event.listens_for(engine, "connect")
    def connected(connection: Any, _: Any) -> None:
        notice_silence(connection._usock)  # the driver has no public name for it

    @event.listens_for(engine, "begin")
    def begun(connection: Connection) -> None:
        options = connection.get_execution_options()
        tenant = options.get(TENANT, "")
        if not _ID.fullmatch(tenant):
            raise Unscoped("that is no tenant's id")
        words = [] if options.get(WRITES, True) else ["SET TRANSACTION READ ONLY"]
        words.append(f"SET LOCAL lock_timeout = {_WAIT_MS}")
        # What the policies of row-level security compare with; over when the transaction is.
        words.append(f"SET LOCAL edgewright.tenant = '{tenant}'")
        connection.exec_driver_sql("; ".join(words))  # one round trip: the server may be far

    return engine


def notice_silence(connection: socket.socket) -> None:
    """Have the kernel give it up within some 25 s of its other end's silence; by itself that takes hours, in which
    whoever waits for an answer waits."""
    if connection.family in (socket.AF_INET, socket.AF_INET6):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in SILENCE.items():
            if (option := getattr(socket, name, None)) is not None:  # not everywhere
                connection.setsockopt(socket.IPPROTO_TCP, option, value)


def _dialled(query: Mapping[str, Any]) -> dict[str, Any]:
    """libpq's words as pg8000's arguments. Raises InputError."""
    known = {"host", "port", "sslmode", "sslrootcert"}
    if strange := sorted(set(query) - known):
        raise InputError(f"the database's URL has {strange[0][:40]!r}; known are: {', '.join(sorted(known))}")
    # Without a word about TLS the driver asks for it, and reads all of the machine's authorities for each connection.
    arguments: dict[str, Any] = {"application_name": "edgewright", "ssl_context": False}
    if "host" in query:
        arguments["unix_sock"] = f"{query['host']}/.s.PGSQL.{query.get('port', '5432')}"
    mode = query.get("sslmode", "disable")
    if mode in ("require", "verify-full"):
        context = ssl.create_default_context(cafile=query.get("sslrootcert"))
        if mode == "require":
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        arguments["ssl_context"] = context
    elif mode != "disable":
        raise InputError(f"sslmode {str(mode)[:20]!r} is not known here; write disable, require or verify-full")
    return arguments
