"""Workers that are killed, hang, or lose their database: no job is lost, and nothing is measured twice."""

import contextlib
import signal
from pathlib import Path

import pytest

PATH = "/api/edge/optimization-jobs"


WIDE = {"budget_s": 10, "engines": [], "keep_structure": False}
"""A search with more to measure."""
ONCE = pytest.mark.parametrize("url", ["sqlite"], indirect=True)
"""What does not depend on the database."""


def measured(jobs):
    return [word for log in (jobs.folder / "jobs").glob("*/measured") for word in log.read_text().split()]


def some(jobs, job, count):
    return lambda: len(jobs.candidates(job)) >= count


def test_a_killed_workers_job_is_taken_over_and_goes_on(jobs, until):
    """Two workers are killed one after the other in the middle of the search; a third does the rest."""
    job = jobs.make(**WIDE)
    first = jobs.worker()
    until(lambda: len(measured(jobs)) >= 2, "two candidates")
    second = jobs.worker()
    first.kill()
    until(lambda: jobs.show(job)["worker"] == second.id, f"taken over {second.log.read_text()}")
    until(lambda: len(measured(jobs)) >= 4, "two more")
    third = jobs.worker()
    second.kill()
    done = jobs.until(job, *jobs.over)
    assert done["state"] in jobs.searched, (done, third.log.read_text())
    assert done["attempts"] == 3
    ids = measured(jobs)
    assert len(ids) == len(set(ids)) and set(ids) <= {one["candidate"]["id"] for one in jobs.candidates(job)}
    lost = [one["id"] for one in jobs.north.get("/api/edge/workers")["items"] if one["state"] == "lost"]
    assert set(lost) == {first.id, second.id}


@ONCE
def test_a_worker_that_hangs_loses_its_job_and_ends_when_it_wakes(jobs, until):
    """It is stopped for longer than a dead one is waited for; its child ends by itself meanwhile."""
    job = jobs.make(**WIDE)
    first = jobs.worker()
    until(some(jobs, job, 2), "two candidates")
    first.process.send_signal(signal.SIGSTOP)
    second = jobs.worker()
    done = jobs.until(job, *jobs.over)
    assert done["state"] in jobs.searched, (done, second.log.read_text())
    ids = measured(jobs)
    assert len(ids) == len(set(ids))
    first.process.send_signal(signal.SIGCONT)
    assert first.process.wait(60) != 0
    assert "taken over" in first.log.read_text()
    assert jobs.show(job) == done


@ONCE
def test_a_worker_that_is_told_to_end_hands_its_job_back(jobs, until):
    job = jobs.make(**WIDE)
    first = jobs.worker()
    until(some(jobs, job, 2), "two candidates")
    assert first.kill(signal.SIGTERM) == 0, first.log.read_text()
    told = jobs.show(job)
    assert told["state"] == "queued" and told["worker"] is None
    jobs.worker()
    done = jobs.until(job, *jobs.over)
    assert done["state"] in jobs.searched and done["attempts"] == 2
    ids = measured(jobs)
    assert len(ids) == len(set(ids))


@ONCE
def test_a_worker_that_dies_between_the_queue_and_its_work_leaves_nothing_behind(jobs, until):
    """Its claim is a row, its workflow was never begun."""
    from edgewright.hub.jobs.queue import claim
    from edgewright.hub.jobs.rules import Able

    job = jobs.make(**jobs.small)
    first = jobs.worker()
    first.process.send_signal(signal.SIGSTOP)
    jobs.until(job, "queued", "running")
    if jobs.show(job)["state"] == "queued":
        assert claim(jobs.state, first.id, Able.of(["onnxruntime"])) is not None
    first.kill()
    jobs.worker()
    done = jobs.until(job, *jobs.over)
    assert done["state"] in jobs.searched, done


@ONCE
def test_a_job_that_ends_its_workers_fails(jobs, until):
    from sqlalchemy import update

    from edgewright.hub.database import EVERY
    from edgewright.hub.jobs.tables import Job

    job = jobs.make(**jobs.small)
    with jobs.state.database.write(EVERY) as session:
        session.execute(update(Job).values(deaths=2))
    first = jobs.worker()
    until(some(jobs, job, 1), "a candidate")
    first.kill()
    second = jobs.worker()
    failed = jobs.until(job, "failed", "done")
    assert failed["state"] == "failed" and "3 workers died" in failed["reason"], second.log.read_text()
    again = jobs.north.post(f"{PATH}/{job['id']}/retry", {}, 200)
    assert again["state"] == "queued"


def test_the_database_falls_and_the_job_goes_on(jobs, until, request):
    if not jobs.url.startswith("postgresql"):
        pytest.skip("SQLite has no server that falls")
    server = request.getfixturevalue("postgres")
    job = jobs.make(**{**WIDE, "budget_s": 300})
    first, second = jobs.worker(), jobs.worker()
    until(some(jobs, job, 2), "two candidates")
    server.stop()
    before = len(measured(jobs))
    try:
        until(lambda: len(measured(jobs)) > before, "it goes on measuring")
    finally:
        server.start()
    until(some(jobs, job, before + 1), "what was measured meanwhile is told")
    jobs.north.post(f"{PATH}/{job['id']}/cancel", {"keep": True}, 200)
    done = jobs.until(job, *jobs.over)
    assert done["state"] in jobs.searched, (done, first.log.read_text(), second.log.read_text())
    ids = measured(jobs)
    assert len(ids) == len(set(ids)) and set(ids) <= {one["candidate"]["id"] for one in jobs.candidates(job)}
    assert done["attempts"] == 1 and first.process.poll() is None and second.process.poll() is None


def test_the_database_falls_while_a_job_ends(jobs, until, request):
    """The search ends, and nothing of it can be written down: neither by the hub nor by DBOS. A worker without a job
    and one that is given its first one afterwards do as if nothing had been."""
    if not jobs.url.startswith("postgresql"):
        pytest.skip("SQLite has no server that falls")
    server = request.getfixturevalue("postgres")
    first, second = jobs.worker(), jobs.worker()
    job = jobs.make(**jobs.small)
    until(some(jobs, job, 1), "a candidate")
    server.stop()
    try:
        until(lambda: list((jobs.folder / "jobs").glob("*/*/out/report.json")), "the search ends")
        for worker in (first, second):
            until(lambda log=worker.log: log.read_text().count("beat was not told") >= 3, "they notice")
    finally:
        server.start()
    done = jobs.until(job, *jobs.over)
    assert done["state"] in jobs.searched, (done, first.log.read_text(), second.log.read_text())
    ids = measured(jobs)
    assert len(ids) == len(set(ids)) and done["attempts"] == 1, "it ended where it was"
    assert first.process.poll() is None and second.process.poll() is None
    more = [jobs.make(**jobs.small, seed=seed) for seed in (1, 2)]
    for one in more:
        assert jobs.until(one, *jobs.over)["state"] in jobs.searched
    assert jobs.events(job)[-1]["data"]["state"] == done["state"]


def test_connections_that_are_cut_in_the_middle_of_a_job_cost_nothing(jobs, until, request):
    """Every one of them, the hub's and DBOS's, again and again."""
    if not jobs.url.startswith("postgresql"):
        pytest.skip("SQLite has no connections that are cut")
    server = request.getfixturevalue("postgres")
    job = jobs.make(**{**WIDE, "budget_s": 300})
    worker = jobs.worker()
    name = jobs.url.partition("@/")[2].partition("?")[0]
    cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '%s' AND usename = 'edgewright'"
    cuts = 0
    for count in range(1, 4):
        until(lambda many=count: len(measured(jobs)) >= many, f"candidate {count}")
        cuts += len(server.ask(cut % name))
    assert cuts > 3
    until(some(jobs, job, 4), "what is measured is told")
    stopped = f"{PATH}/{job['id']}/cancel"
    until(lambda: jobs.north.ask("POST", stopped, json={"keep": True}).status_code == 200, "it is stopped")
    done = jobs.until(job, *jobs.over)
    assert done["state"] in jobs.searched, (done, worker.log.read_text())
    ids = measured(jobs)
    assert len(ids) == len(set(ids)) and done["attempts"] == 1 and worker.process.poll() is None


@ONCE
def test_children_end_with_their_worker(jobs, until):
    job = jobs.make(budget_s=60)
    worker = jobs.worker()
    until(some(jobs, job, 1), "a candidate")

    def children():
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                words, about = (process / "cmdline").read_bytes(), (process / "environ").read_bytes()
                if b"edgewright.hub.jobs.inside" in words and str(jobs.folder).encode() in about:
                    found.append((process, about))
        return found

    ((process, found),) = children()
    assert "NoNewPrivs:\t1" in (process / "status").read_text(), "it is shut in"
    assert (process / "ns/net").readlink() != Path("/proc/self/ns/net").readlink(), "away from the network"
    assert b"EDGEWRIGHT_DATABASE" not in found and b"AWS_" not in found
    worker.kill()
    until(lambda: not children(), "the child ends")
