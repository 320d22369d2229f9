"""PostgreSQL by its URL, through libpq."""

from __future__ import annotations

import re
import ssl
from collections.abc import Mapping
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event

from edgewright.core.errors import InputError
from edgewright.hub.database.rows import TENANT, WAIT_MS, WRITES
from edgewright.hub.errors import Unscoped

DRIVER = "postgresql+psycopg"
_SILENCE = {
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 25_000,
    "connect_timeout": 15,
}
"""In s, s, times, ms and s (PostgreSQL 17, 32.1.2): a server whose host is gone is given up within some 25 s. By itself
that takes hours, in which whoever waits for an answer waits."""
_KNOWN = ("host", "port", "sslmode", "sslrootcert")
_MODES = ("disable", "require", "verify-full")
_ID = re.compile(r"[a-z0-9_]*|\*")


def make(url: URL, connections: int) -> Engine:
    """An engine with so many connections at most. Raises InputError."""
    engine = create_engine(
        url.set(drivername=DRIVER, query={}), connect_args=dialled(url.query) | {"application_name": "edgewright"},
        pool_size=connections, max_overflow=0, pool_pre_ping=True, pool_recycle=1800,
    )  # fmt: skip

    @event.listens_for(engine, "connect")
    def connected(connection: Any, _: Any) -> None:
        connection.autocommit = True  # the driver begins nothing by itself; we say BEGIN

    @event.listens_for(engine, "begin")
    def begun(connection: Connection) -> None:
        options = connection.get_execution_options()
        tenant = check_id(options.get(TENANT, ""))
        words = (
            f"BEGIN {'READ WRITE' if options.get(WRITES, True) else 'READ ONLY'}; SET LOCAL lock_timeout = {WAIT_MS}"
        )
        # What the policies of row-level security compare with; over when the transaction is.
        words += f"; SET LOCAL edgewright.tenant = '{tenant}'"
        connection.exec_driver_sql(words)  # one round trip: the server may be far

    return engine


def check_id(tenant: str) -> str:
    """A tenant's id, which stands in statements. Raises Unscoped for what is none."""
    if not _ID.fullmatch(tenant):
        raise Unscoped("that is no tenant's id")
    return tenant


def dialled(query: Mapping[str, Any]) -> dict[str, Any]:
    """libpq's parameters for a URL's. Raises InputError."""
    if strange := sorted(set(query) - set(_KNOWN)):
        raise InputError(f"the database's URL has {strange[0][:40]!r}; known are: {', '.join(_KNOWN)}")
    # Without a word about TLS libpq asks for it, where the server is on this machine, too.
    told = {"sslmode": "disable", **query, **_SILENCE}
    if told["sslmode"] not in _MODES:
        raise InputError(f"sslmode {str(told['sslmode'])[:20]!r} is not known here; write {', '.join(_MODES)}")
    if told["sslmode"] == "verify-full" and "sslrootcert" not in query:
        told["sslrootcert"] = ssl.get_default_verify_paths().cafile or "system"
    return told
