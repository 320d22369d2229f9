"""Soundness: what a hub's folder and database have to hold together before it starts. Nothing that is gone is made anew
beside what was made with it: that would shut out every device, and end every secret."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from pathlib import Path

from sqlalchemy import Engine, inspect, text

from edgewright.core.errors import StorageError
from edgewright.core.files import storage
from edgewright.hub.database.rows import EVERY, TENANT

_CHECKED_BYTES = 200 * 2**20
_KEYS = ("own.key", "safe.key")


def check_file(path: Path) -> None:
    """The database's own file: for its owner alone, and whole (looked through up to 200 MB). Raises StorageError."""
    with storage(path):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        path.chmod(0o600)
        size = path.stat().st_size
    if not size:
        return  # whoever reads it now hinders those that make it
    try:
        with contextlib.closing(sqlite3.connect(path, timeout=15)) as connection:
            word = "quick_check(1)" if size <= _CHECKED_BYTES else "schema_version"
            (told,) = connection.execute(f"PRAGMA {word}").fetchone()
    except sqlite3.OperationalError:
        return  # it is busy, or cannot be opened: that is told by who opens it
    except sqlite3.DatabaseError as error:
        raise StorageError(f"{path} is no database, or damaged ({error}); restore it from a backup") from error
    if size <= _CHECKED_BYTES and told != "ok":
        raise StorageError(f"{path} is damaged; restore it from a backup")


def check_new(folder: Path, engine: Engine) -> None:
    """Before tables are made: keys without a database belong to one that is gone. Raises StorageError."""
    if (folder / "keys" / "safe.key").exists() and not inspect(engine).has_table("alembic_version"):
        raise StorageError(
            f"{folder / 'keys'} holds a hub's keys, but its database is gone, empty, or another one; restore it from a "
            f"backup (to begin anew instead: remove {folder / 'keys'} and {folder / 'authority'})"
        )


def check_keys(folder: Path, engine: Engine) -> None:
    """Once tables are there, before keys are made. Raises StorageError."""
    missing = [name for name in _KEYS if not (folder / "keys" / name).exists()]
    if missing and _has(engine, "tenants"):
        raise StorageError(
            f"{folder / 'keys' / missing[0]} is gone, and the database needs it; restore it from a backup"
        )


def check_authority(folder: Path, engine: Engine) -> None:
    """Before a CA is made: devices trust the one they know. Raises StorageError."""
    if not (folder / "authority" / "authority.json").exists() and _has(engine, "devices"):
        raise StorageError(
            f"{folder / 'authority'}, the CA that this hub's devices trust, is gone; restore it from a backup"
        )


def _has(engine: Engine, table: str) -> bool:
    with engine.execution_options(**{TENANT: EVERY}).connect() as connection:
        return connection.execute(text(f"SELECT 1 FROM {table} LIMIT 1")).first() is not None  # noqa: S608 - our names
