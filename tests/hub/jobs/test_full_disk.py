"""A disk is full: no job is lost or told wrong, nothing is measured twice, and all goes on by itself once there is
room."""

import importlib
import os
import shutil
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing, suppress

import pytest

from edgewright.hub.jobs.durable import Durable
from edgewright.hub.jobs.running import Ended
from edgewright.hub.jobs.space import Space

PATH = "/api/edge/optimization-jobs"
WIDE = {"budget_s": 12, "engines": [], "keep_structure": False}


@pytest.fixture
def data(tmp_path, small_disk):
    """The hub's whole folder on a small disk: its database, DBOS's, the objects and the jobs' folders."""
    with small_disk(tmp_path / "data", 32) as place:
        yield place


@pytest.fixture
def url(request, data):
    shutil.copy(request.getfixturevalue("tables"), data / "hub.db")
    return f"sqlite:///{data}/hub.db"


def measured(folder):
    return [word for log in folder.glob("*/measured") for word in log.read_text().split()]


def fill_up(data, fill):
    """And leave the write-ahead logs no pages that were theirs before."""
    for name in ("hub.db", "jobs.db"):
        with closing(sqlite3.connect(data / name)) as connection, suppress(sqlite3.OperationalError):
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    fill(data)


def test_a_hub_without_room_holds_its_jobs_up_and_loses_none(jobs, data, fill, until):
    job = jobs.make(**WIDE)
    worker = jobs.worker()
    until(lambda: len(jobs.candidates(job)) >= 2, "two candidates")

    def refused():
        fill_up(data, fill)
        answer = jobs.north.ask("POST", PATH, json=jobs.wish(seed=1))
        return answer if answer.status_code != 201 else None

    answer = until(refused, "a full disk takes no job")
    assert answer.status_code == 503 and int(answer.headers["Retry-After"]) > 0
    assert "disk" in answer.json()["detail"] and "free some space" in answer.json()["detail"]
    many = [one["id"] for one in jobs.north.get(PATH)["items"]]

    def stands(words, times):
        fill(data)
        return worker.log.read_text().count(words) >= times

    until(lambda: stands("and the job goes on by itself", 1), "the job waits for room")
    until(lambda: stands("beat was not told: the disk of the hub's database is full", 5), "the worker waits, too")
    told = jobs.show(job)
    assert told["state"] in ("running", "queued") and worker.process.poll() is None
    assert [one["id"] for one in jobs.north.get(PATH)["items"]] == many, "what was refused left nothing"
    (data / "ballast").unlink()
    done = jobs.until(job, *jobs.over)
    assert done["state"] in jobs.searched, (done, worker.log.read_text())
    ids = measured(data / "jobs")
    assert len(ids) == len(set(ids)) and worker.process.poll() is None
    assert deaths(jobs, job) == 0, "a full disk is nobody's death"


def deaths(jobs, job):
    from edgewright.hub.jobs.tables import Job

    with jobs.state.database.read(jobs.hub.tenants["north"]) as session:
        return session.find(Job, job["id"]).deaths


def test_a_worker_that_is_started_on_a_full_disk_says_so(jobs, data, fill):
    fill_up(data, fill)
    words = [sys.executable, "-m", "edgewright", "hub", "worker", "--data", str(data)]
    ended = subprocess.run(words, capture_output=True, text=True, timeout=120, env={**os.environ})
    assert ended.returncode == 1 and "is full; free some space" in ended.stderr, ended.stderr
    assert "Traceback" not in ended.stderr


class TestDurable:
    """DBOS alone, whose work is done and cannot be written down."""

    @pytest.fixture
    def stuck(self, hub, data, fill, monkeypatch):
        """It and what was done so far, once it has found the disk full."""
        begun, go, tried, did = threading.Event(), threading.Event(), threading.Event(), []

        def work(*claim):
            did.append("work")
            begun.set()
            assert go.wait(60)
            return {"how": "done"}

        system = importlib.import_module("dbos._sys_db")
        waits = system.retriable_sqlite_exception
        monkeypatch.setattr(system, "retriable_sqlite_exception", lambda error: (tried.set(), waits(error))[1])
        with Durable(hub.state, "wrk_a", work, lambda *_: did.append("end"), lambda *_: did.append("over")) as durable:
            durable.start("ten_a", "job_a", 1)
            assert begun.wait(60)
            fill_up(data, fill)
            go.set()
            assert tried.wait(60) and did == ["work"]
            yield durable, did

    def test_what_a_workflow_has_done_is_not_lost(self, stuck, data, until):
        """It would write the workflow off: its work would be done again, and its end never."""
        (data / "ballast").unlink()
        until(lambda: stuck[1] == ["work", "end", "over"], "it ends as it should")

    def test_nobody_is_kept_from_ending(self, stuck, until):
        durable, did = stuck
        durable.close()
        until(lambda: did == ["work", "over"], "it waits no more")


class TestElsewhere:
    """The jobs' folders alone have no room; the hub's database has."""

    @pytest.fixture
    def url(self, request, tmp_path):
        shutil.copy(request.getfixturevalue("tables"), tmp_path / "hub.db")
        return f"sqlite:///{tmp_path}/hub.db"

    def test_the_job_waits_with_its_reason_and_goes_on(self, jobs, small_disk, fill, until):
        with small_disk(jobs.folder / "jobs", 12) as disk:
            try:
                job = jobs.make(**WIDE)
                worker = jobs.worker()
                until(lambda: len(jobs.candidates(job)) >= 2, "two candidates")
                fill(disk)
                told = jobs.until(job, "queued", *jobs.over)
                assert told["state"] == "queued" and "is full; free some space" in told["reason"], told
                (disk / "ballast").unlink()
                done = jobs.until(job, *jobs.over)
                assert done["state"] in jobs.searched and done["attempts"] >= 2, (done, worker.log.read_text())
                ids = measured(disk)
                assert len(ids) == len(set(ids)) and deaths(jobs, job) == 0
            finally:
                worker.end()


def test_who_ran_out_of_room_waits_for_more_or_a_minute(tmp_path, small_disk, fill):
    now = [0.0]
    with small_disk(tmp_path / "small", 8) as disk:
        space = Space(disk, lambda: now[0])
        assert space.enough() and not space.ended(Ended("died")) and space.ended(Ended("error", family="DiskFull"))
        fill(disk)
        assert space.ended(Ended("died")) and not space.ended(Ended("done")) and "free some space" in space.ran_out()
        assert not space.enough()
        now[0] += 61
        assert space.enough(), "what is needed may be less by now"
        space.ran_out()
        assert not space.enough()
        (disk / "ballast").unlink()
        assert space.enough() and not space.ended(Ended("died"))


def test_a_child_s_word_for_a_full_disk_is_held_against_what_is_free(tmp_path, monkeypatch):
    """Its worker would do no job of anybody's for a while."""
    monkeypatch.setattr(Space, "_usage", lambda _: (2**40, 2**39))
    assert not Space(tmp_path).ended(Ended("error", family="DiskFull"))
