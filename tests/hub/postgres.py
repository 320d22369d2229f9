"""A PostgreSQL server of the tests' own: in a temporary folder, at a Unix socket, as a user who is not root."""

import contextlib
import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

ROLE = "edgewright"
EMPTY = """
DO $$
DECLARE
  one text;
BEGIN
  PERFORM pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid();
  SET LOCAL lock_timeout = '2s';
  SET LOCAL session_replication_role = replica;  -- no trigger keeps what is append-only
  FOR one IN SELECT quote_ident(tablename) FROM pg_tables
    WHERE schemaname = 'public' AND tablename NOT LIKE 'alembic%'
  LOOP  -- truncating all that is empty already would take a tenth of a second
    EXECUTE 'DELETE FROM ' || one;
  END LOOP;
  FOR one IN SELECT quote_ident(sequencename) FROM pg_sequences WHERE schemaname = 'public' AND last_value IS NOT NULL
  LOOP
    EXECUTE 'ALTER SEQUENCE ' || one || ' RESTART';
  END LOOP;
  DROP SCHEMA IF EXISTS edgewright_jobs CASCADE;
END $$
"""


def programs():
    """The folder of initdb and pg_ctl, or None."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    there = shutil.which("initdb")
    return found[-1].parent if found else Path(there).parent if there else None


def missing():
    """Without PostgreSQL the tests on it are skipped; not in CI, where .ci/run has installed it."""
    told = "PostgreSQL is not installed (Debian: apt-get install postgresql); scripts/setup installs it as root"
    if os.environ.get("CI"):
        pytest.fail(told)
    pytest.skip(told)


class Server:
    """``make(name)`` gives the URL of a new database, a copy of ``template`` where one is named. ``stop`` is as if its
    machine fell."""

    def __init__(self, folder, control):
        self.folder, self._control = folder, control
        self._count, self._free = 0, []

    def start(self):
        self._control("-w", "start")

    def stop(self):
        self._control("-w", "-m", "immediate", "stop")

    def ask(self, statement, database="postgres"):
        import psycopg

        with psycopg.connect(host=self.folder, user="super", dbname=database, autocommit=True) as connection:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else None

    def make(self, template="template0"):
        self._count += 1
        name = f"hub{self._count}"
        self.ask(f"CREATE DATABASE {name} OWNER {ROLE} TEMPLATE {template}")
        return self.url(name)

    def lend(self):
        """A database with its tables and nothing in them: one that was given back, or a new one. Making and removing
        hundreds of them takes minutes."""
        return self._free.pop() if self._free else self.make("hub1")

    def give_back(self, url):
        """Empty it for the next; one that somebody still holds on to is left."""
        name = url.partition("@/")[2].partition("?")[0]
        try:
            self.ask(EMPTY, name)
        except Exception:  # noqa: BLE001 - whatever it is, there are others
            return
        self._free.append(url)

    def url(self, name, role=ROLE):
        return f"postgresql://{role}@/{name}?host={self.folder}"


@contextlib.contextmanager
def server():
    bin_ = programs()
    if bin_ is None:
        missing()
    folder = Path(tempfile.mkdtemp(prefix="edgewright-pg-"))
    options = {"cwd": folder, "check": True, "capture_output": True, "timeout": 300}
    if os.geteuid() == 0:
        user = next(one for one in ("postgres", "nobody") if _known(one))
        shutil.chown(folder, user)
        options["user"] = user
    try:
        data = folder / "data"
        subprocess.run(
            [bin_ / "initdb", "-D", data, "-U", "super", "-A", "trust", "-E", "UTF8", "--locale=C", "-N"], **options
        )
        words = f"-c listen_addresses='' -c unix_socket_directories={folder} -c fsync=off -c max_connections=200"

        def control(*what):
            # Its output goes to a file: a pipe would be held open by the server for as long as it lives.
            subprocess.run([bin_ / "pg_ctl", "-D", data, "-o", words, "-l", folder / "log", *what], **options)

        made = Server(folder, control)
        made.start()
        try:
            made.ask(f"CREATE ROLE {ROLE} LOGIN")
            yield made
        finally:
            made.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _known(name):
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True
