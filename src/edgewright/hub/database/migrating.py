"""Migrations: the tables brought to what this release knows, whole or not at all, by one process at a time."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError, to_tuple
from sqlalchemy import Connection, Engine, text

from edgewright.core.errors import StorageError
from edgewright.hub.database.rows import EVERY, TENANT

_LOCK = 0x45445745  # "EDWE": any number that nobody else uses in this database


def migrate(engine: Engine) -> None:
    """Bring the tables to this release's state, in one transaction; a second process waits for the first.

    Raises StorageError when a newer release was here before, or PostgreSQL's role would not be held by row-level
    security.
    """
    with engine.execution_options(**{TENANT: EVERY}).begin() as connection:  # SQLite: BEGIN IMMEDIATE
        if engine.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
            _check_role(connection)
        found = MigrationContext.configure(connection).get_current_heads()
        if set(found) == _newest():
            return
        _check_known(found)
        configuration = _configuration()
        configuration.attributes["connection"] = connection
        command.upgrade(configuration, "heads")


def _configuration() -> Config:
    made = Config()
    made.set_main_option("script_location", "edgewright.hub.database:migrations")
    return made


@cache
def _scripts() -> ScriptDirectory:
    return ScriptDirectory.from_config(_configuration())


@cache
def _newest() -> set[str]:
    """What a database that is up to date says: alembic leaves out a head that others depend on."""
    scripts = _scripts()
    needed = {name for made in scripts.walk_revisions() for name in to_tuple(made.dependencies, default=())}
    return set(scripts.get_heads()) - needed


def _check_known(found: Sequence[str]) -> None:
    for revision in found:
        try:
            _scripts().get_revision(revision)
        except CommandError as error:
            raise StorageError(
                f"the database is at {revision!r}, which this release does not know; start the newer release again"
            ) from error


def _check_role(connection: Connection) -> None:
    told = text("SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = current_user")
    if connection.execute(told).scalar_one():
        raise StorageError(
            "row-level security does not hold a superuser of PostgreSQL; make the hub a role of its own "
            "(CREATE ROLE edgewright LOGIN; CREATE DATABASE edgewright OWNER edgewright) and name it in --database"
        )
