"""Workers on several machines (folders of their own, one database, one store), and what nobody may forge."""

import base64
import pickle
import shutil
import sqlite3
from contextlib import closing

import pytest
from sqlalchemy import select

from edgewright.hub.database import EVERY
from edgewright.hub.jobs.results import named
from edgewright.hub.jobs.tables import Saved

PATH = "/api/edge/optimization-jobs"
ONCE = pytest.mark.parametrize("url", ["sqlite"], indirect=True)


def measured(folder):
    return [word for log in (folder / "jobs").glob("*/measured") for word in log.read_text().split()]


def test_a_worker_on_another_machine_goes_on_from_what_was_measured(jobs, until, bucket, tmp_path):
    """The other one's folder is never seen: keys come by a copy, measurements by the store of objects."""
    if not jobs.url.startswith("postgresql"):
        pytest.skip("SQLite lies on one machine")
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(jobs.folder / "keys", elsewhere / "keys")
    job = jobs.make(budget_s=12, engines=[], keep_structure=False)
    first = jobs.worker(objects=bucket, EDGEWRIGHT_TEST_SAVES="0.2")
    until(lambda: len(measured(jobs.folder)) >= 3, "three candidates")

    def saved():
        with jobs.state.database.read(EVERY) as session:
            return session.scalars(select(Saved.object)).all()

    until(saved, "they are saved")
    first.kill()
    known = set(measured(jobs.folder))
    jobs.worker(folder=elsewhere, objects=bucket)
    done = jobs.until(job, *jobs.over)
    assert done["state"] in jobs.searched and done["attempts"] == 2, done
    again = known & set(measured(elsewhere))
    assert len(again) < len(known), "what was saved is not measured again"
    assert saved() == []
    with jobs.state.database.read(jobs.hub.tenants["north"]) as session:
        assert {name.partition("/")[0] for name in named(session)} == {"reports"}


@ONCE
def test_what_was_pickled_is_not_read(jobs, until, tmp_path):
    """Somebody who can write to the jobs' database puts a workflow there that says it is pickled."""
    mark = tmp_path / "ran"
    first = jobs.worker()
    first.kill(15)

    class Evil:
        def __reduce__(self):
            return (mark.write_text, ("it ran",))

    job = jobs.make(**jobs.small)
    first = jobs.worker()
    until(lambda: jobs.candidates(job), "its workflow runs")
    first.kill()
    with closing(sqlite3.connect(jobs.folder / "jobs.db")) as connection, connection:
        told = base64.b64encode(pickle.dumps({"args": (Evil(), "b", 1), "kwargs": {}})).decode()
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        rows = connection.execute("SELECT workflow_uuid, inputs, serialization FROM workflow_status").fetchall()
        assert rows and all(row[2] == "edgewright_json" for row in rows), rows
        assert all(row[0].startswith("job_") for row in rows)
        connection.execute("UPDATE workflow_status SET inputs = ?, serialization = 'py_pickle'", (told,))
    second = jobs.worker()
    jobs.until(job, "done", "infeasible")
    assert not mark.exists(), second.log.read_text()
    assert (jobs.folder / "jobs.db").stat().st_mode & 0o077 == 0
