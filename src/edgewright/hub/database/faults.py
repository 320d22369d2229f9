"""Faults of the database that pass: what they are, in words that say what to do."""

from __future__ import annotations

import sqlite3

from sqlalchemy.exc import DBAPIError

from edgewright.core.errors import EdgewrightError

_FULL = "53100"  # disk_full: PostgreSQL, appendix A


def no_room(error: BaseException) -> bool:
    """Whether the database could not write because its disk is full: SQLite's or PostgreSQL's."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    if isinstance(cause, sqlite3.Error):
        return getattr(cause, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_FULL
    return getattr(cause, "sqlstate", None) == _FULL


def reason(error: BaseException) -> str:
    """The driver's own words, in one line: for the terminal of whoever starts the hub, and nobody else. libpq names
    hosts and users in them, and no password."""
    words = str(error.orig if isinstance(error, DBAPIError) else error).strip().splitlines()
    return f"{type(error).__name__}: {words[-1].strip()}" if words else type(error).__name__


def told(error: BaseException) -> str:
    """It in words, for a log or an answer: nothing of the statement, of its values or of the server."""
    if no_room(error):
        return "the disk of the hub's database is full; free some space there, and it goes on"
    if isinstance(error, EdgewrightError):
        return str(error)
    return f"the database does not answer ({type(error).__name__})"
