"""The tables that migrations make are those that the code maps, made once however many start at once."""

import threading

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from sqlalchemy import inspect, select, text

from edgewright.core.errors import InputError, StorageError
from edgewright.hub.database import Database
from edgewright.hub.database.engines import make_engine
from edgewright.hub.database.migrating import migrate
from edgewright.hub.database.rows import EVERY, TENANT
from edgewright.hub.outgoing.tables import Webhook
from edgewright.hub.tables import METADATA


@pytest.fixture
def database(empty_url):
    with Database(empty_url) as made:
        yield made


def test_the_tables_are_those_of_the_code(database):
    migrate(database.engine)
    with database.engine.begin() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, METADATA) == []


def test_tables_that_are_there_are_left_alone(database, monkeypatch):
    migrate(database.engine)
    monkeypatch.delattr(command, "upgrade")
    migrate(database.engine)


def test_many_that_start_at_once_make_them_once(database, empty_url):
    failed, gate = [], threading.Barrier(4)

    def start():
        with Database(empty_url) as own:
            gate.wait()
            try:
                migrate(own.engine)
            except Exception as error:  # noqa: BLE001 - told by the assertion below
                failed.append(error)

    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert set(inspect(database.engine).get_table_names()) == set(METADATA.tables) | {"alembic_version"}


def test_webhooks_of_an_older_release_want_what_they_wanted(database):
    with database.engine.execution_options(**{TENANT: EVERY}).begin() as connection:
        configuration = Config()
        configuration.set_main_option("script_location", "edgewright.hub.database:migrations")
        configuration.attributes["connection"] = connection
        command.upgrade(configuration, "alerts_0001")
        for made in (
            "INSERT INTO tenants (id, name, development, made) VALUES ('ten_1', 'a', :no, 1)",
            "INSERT INTO webhooks (tenant, id, url, secret, least, private, made) "
            "VALUES ('ten_1', 'whk_1', 'u', 's', 'critical', :no, 5)",
        ):
            connection.execute(text(made), {"no": False})
    migrate(database.engine)
    with database.read("ten_1") as session:
        (row,) = session.scalars(select(Webhook)).all()
        assert (row.id, row.url, row.secret, row.least, row.private, row.events) == (
            "whk_1", "u", "s", "critical", False, []
        )  # fmt: skip
    with database.write("ten_1") as session:
        row = session.find(Webhook, "whk_1")
        row.least, row.events = None, ["job.state"]
    with database.read("ten_2") as session:
        assert session.scalars(select(Webhook)).all() == []


def test_a_migration_that_fails_leaves_nothing(database, monkeypatch):
    from alembic import op

    def fail(*_):
        raise RuntimeError

    monkeypatch.setattr(op, "create_index", fail)
    with pytest.raises(RuntimeError):
        migrate(database.engine)
    assert inspect(database.engine).get_table_names() == []
    monkeypatch.undo()
    migrate(database.engine)


def test_a_database_of_a_newer_release_is_left_alone(database):
    migrate(database.engine)
    with database.engine.begin() as connection:
        newer = "UPDATE alembic_version SET version_num = 'fleet_9999' WHERE version_num LIKE 'fleet%'"
        connection.execute(text(newer))
    with pytest.raises(StorageError, match="newer release"):
        migrate(database.engine)


def test_every_table_is_held_by_row_level_security(database):
    if database.engine.dialect.name == "sqlite":
        pytest.skip("SQLite has no row-level security")
    migrate(database.engine)
    query = (
        "SELECT relname, relrowsecurity AND relforcerowsecurity FROM pg_class WHERE relkind = 'r' AND relname = ANY(:n)"
    )
    with database.engine.begin() as connection:
        held = dict(map(tuple, connection.execute(text(query), {"n": list(METADATA.tables)})))
    assert held == dict.fromkeys(METADATA.tables, True)


def test_a_superuser_is_no_role_for_a_hub(postgres):
    url = postgres.make().replace("edgewright@", "super@")
    with Database(url) as database, pytest.raises(StorageError, match="role of its own"):
        migrate(database.engine)


def test_sqlite_is_set_up_to_last(tmp_path):
    with Database(f"sqlite:///{tmp_path}/hub.db") as database, database.engine.begin() as connection:
        told = {
            w: connection.exec_driver_sql(f"PRAGMA {w}").scalar()
            for w in ("journal_mode", "synchronous", "foreign_keys")
        }
    assert told == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}


@pytest.mark.parametrize(
    "url", ["", "mysql://x/y", "postgresql://", "nothing", "sqlite://", "postgresql://h/d?sslmode=maybe"]
)
def test_other_urls_are_refused(url):
    with pytest.raises(InputError):
        make_engine(url)
