"""What DBOS remembers of workflows goes a week after they began, but for those of jobs that a worker has."""

import threading
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import create_engine, text

from edgewright.hub.jobs import durable
from edgewright.hub.jobs.durable import SCHEMA, Durable

TABLES = ("workflow_status", "operation_outputs", "workflow_input", "workflow_output")


@pytest.fixture
def rows(jobs):
    """How many rows each of DBOS's tables has; ``rows.older()`` makes all that is over, or all, a week older."""
    engine = create_engine(durable._url(jobs.state))
    before = "" if engine.dialect.name == "sqlite" else f"{SCHEMA}."

    def count():
        with engine.begin() as connection:
            return {one: connection.execute(text(f"SELECT count(*) FROM {before}{one}")).scalar() for one in TABLES}

    def older():
        with engine.begin() as connection:
            week = 8 * 86_400_000
            connection.execute(text(f"UPDATE {before}workflow_status SET created_at = created_at - {week}"))

    count.older = older
    yield count
    engine.dispose()


def test_workflows_that_are_over_are_forgotten_and_others_are_not(jobs, rows, until):
    """Three are over, one is a job's that a worker has."""
    go, over = threading.Event(), []

    def work(tenant, job, claim):
        assert job != "job_slow" or go.wait(60)
        return {"how": "done"}

    with Durable(jobs.state, "wrk_a", work, lambda *_: None, lambda job, _: over.append(job)) as made:
        for number in range(3):
            made.start("ten_a", "job_fast", number)
        until(lambda: len(over) == 3, "three are over")
        made.start("ten_a", "job_slow", 7)
        until(lambda: rows()["workflow_status"] == 4, "one runs")
        soon = datetime.now(UTC) + timedelta(minutes=1)
        assert durable.forget(soon - timedelta(days=7), {("job_slow", 7)}) == 0, "they are young"
        assert durable.forget(soon, {("job_slow", 7)}) == 3
        assert rows()["workflow_status"] == 1 and rows()["operation_outputs"] <= 1
        go.set()
        until(lambda: len(over) == 4, "what was kept ends as it should")
        until(lambda: durable.forget(soon, ()) == 1, "and goes, too")
        assert set(rows().values()) == {0}


def test_a_round_is_bounded(jobs, rows, until, monkeypatch):
    monkeypatch.setattr(durable, "_AT_ONCE", 2)
    over = []
    with Durable(
        jobs.state, "wrk_a", lambda *_: {"how": "done"}, lambda *_: None, lambda job, _: over.append(job)
    ) as made:
        for number in range(5):
            made.start("ten_a", "job_fast", number)
        until(lambda: len(over) == 5, "all are over")
        soon = datetime.now(UTC) + timedelta(minutes=1)
        assert [durable.forget(soon, ()) for _ in range(4)] == [2, 2, 1, 0]


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
def test_a_worker_forgets_at_its_first_round(jobs, rows, until):
    """The rows of a real job go; the job and its result stay."""
    job = jobs.make(**jobs.small)
    worker = jobs.worker()
    done = jobs.until(job, *jobs.over)
    until(lambda: rows()["operation_outputs"] == 2, "both steps are remembered")
    assert rows()["workflow_status"] == 1
    worker.kill(15)
    rows.older()
    jobs.worker()
    until(lambda: set(rows().values()) == {0}, "all is forgotten")
    assert jobs.show(job) == done
