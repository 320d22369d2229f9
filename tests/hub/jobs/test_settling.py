"""What becomes of a job whose child, store, worker or keeper did not do as they should."""

import threading
import time
from types import SimpleNamespace

import pytest
from sqlalchemy import update

from edgewright.core.errors import EdgewrightError, Unavailable
from edgewright.hub.database import EVERY
from edgewright.hub.jobs import keeper, steps
from edgewright.hub.jobs.found import found
from edgewright.hub.jobs.keeper import Keeper
from edgewright.hub.jobs.kinds import KINDS
from edgewright.hub.jobs.queue import claim
from edgewright.hub.jobs.results import why
from edgewright.hub.jobs.rules import Able
from edgewright.hub.jobs.running import Child, Ended
from edgewright.hub.jobs.steps import Runs, Steps
from edgewright.hub.jobs.tables import Worker
from edgewright.hub.jobs.telling import sound_candidate

CPU = Able.of(["onnxruntime"])
REPORT = {
    "best": "0f3a5c7e9b1d", "pareto": ["0f3a5c7e9b1d"], "nearest": [], "stopped": "", "elapsed_s": 3, "notes": ["a"],
    "binding": {"metric": "size_bytes", "sense": "max", "limit": 1.0, "unit": "B", "value": None, "slack": None,
                "kept": False},
    "first_feasible_s": None, "constraints": [], "data": {"notes": ["b"], "source": "x"}, "more": "is left out",
}  # fmt: skip


@pytest.fixture
def mine(jobs):
    """A worker's steps, and a job that it has: tenant, id, claim."""
    jobs.register("wrk_a", "wrk_b")
    jobs.make()
    taken = claim(jobs.state, "wrk_a", CPU)
    made = Steps(jobs.state, "wrk_a", CPU, Runs(1), 0, lambda: "one")
    return SimpleNamespace(steps=made, job=taken, show=lambda: jobs.show({"id": taken[1]}))


def settles(monkeypatch, as_):
    monkeypatch.setitem(KINDS, "optimization", SimpleNamespace(settle=as_))


def test_what_cannot_be_written_down_fails_the_job(mine, monkeypatch):
    """Done again it would come to the same."""
    settles(monkeypatch, lambda *_: [][0])
    mine.steps.end(*mine.job, {"how": "done"})
    told = mine.show()
    assert told["state"] == "failed" and "its log tells more" in told["reason"]


def test_a_store_that_does_not_answer_for_a_moment_costs_nothing(mine, monkeypatch):
    monkeypatch.setattr(steps.time, "sleep", lambda _: None)
    tries = iter([Unavailable("the store of objects does not answer"), Unavailable("still not"), None])

    def settle(*_):
        if error := next(tries):
            raise error
        return False

    settles(monkeypatch, settle)
    mine.steps.end(*mine.job, {"how": "done"})
    assert next(tries, "none is left") == "none is left" and mine.show()["state"] == "running"


def test_a_job_is_handed_back_where_the_store_does_not_answer_and_its_worker_leaves(mine, monkeypatch):
    def place(*_):
        raise Unavailable("the store of objects does not answer")

    monkeypatch.setitem(KINDS, "optimization", SimpleNamespace(place=place))
    runs = mine.steps._runs
    run = runs.begin(mine.job[1], mine.job[2])
    runs.leave()
    assert run is not None and mine.steps.work(*mine.job) == {"how": "left"}
    mine.steps.end(*mine.job, {"how": "left"})
    assert mine.show()["state"] == "queued"


@pytest.mark.parametrize(("life", "whose"), [("lost", "wrk_b"), ("live", "wrk_a")])
def test_who_ends_what_a_dead_worker_had_done_has_it(jobs, mine, monkeypatch, life, whose):
    """The work's outcome was kept, and its end was not: the next worker is given the end alone."""
    with jobs.state.database.write(EVERY) as session:
        session.execute(update(Worker).where(Worker.id == "wrk_a").values(state=life))
    settles(monkeypatch, lambda *_: False)
    Steps(jobs.state, "wrk_b", CPU, Runs(1), 0, lambda: "one").end(*mine.job, {"how": "done"})
    assert mine.show()["worker"] == whose


@pytest.mark.parametrize("another", [False, True])
def test_the_folder_of_a_job_that_is_done_goes_unless_another_has_begun_there(jobs, mine, monkeypatch, another):
    from edgewright.hub.jobs.queue import held, move
    from edgewright.hub.jobs.tables import Job

    tenant, job, claim_ = mine.job
    with jobs.state.database.read(tenant) as session:
        content = session.find(Job, job).content
    folder = jobs.folder / "jobs" / tenant / content
    folder.mkdir(parents=True)
    jobs.make(name="another")

    def settle(*_):
        with jobs.state.database.write(tenant) as session:
            move(session, held(session, job, claim_, "wrk_a"), "done", jobs.state.clock())
        assert not another or claim(jobs.state, "wrk_b", CPU) is not None
        return True

    settles(monkeypatch, settle)
    mine.steps.end(*mine.job, {"how": "done"})
    assert [one.name for one in folder.parent.iterdir()] == ([content] if another else [])


def test_a_child_that_never_begins_is_ended(tmp_path):
    asked = []
    child = Child(tmp_path, 0, lambda _: None, lambda: "", limit_s=-1.0)
    process = SimpleNamespace(send_signal=asked.append)
    assert child._look(process) == Ended("late") and asked == []
    child._heard(b'{"ready": true}')
    assert child._look(process) is None and len(asked) == 1, "what has begun may hand back the best so far"


def test_a_child_that_does_not_listen_takes_no_memory(tmp_path):
    child = Child(tmp_path, 0, lambda _: None, lambda: "", limit_s=1.0)
    for _ in range(3):
        child.tell({"more": "x" * 2**20})
    assert len(child._tells) < 2**21


def test_a_report_is_read_like_a_stranger_s():
    told = found(REPORT)
    assert told["notes"] == ["a", "b"] and told["bundle"] is None and "more" not in told and "data" not in told
    assert "size_bytes" in why({**told, "binding": {**told["binding"], "value": 2.0}}) and why(told)
    for odd in (
        [], {}, {"best": 5}, {"best": ["x"]}, {"pareto": {}}, {"nearest": [1]}, {"binding": []}, {"binding": {"a": 1}},
        {"stopped": None}, {"stopped": "x" * 5000}, {"elapsed_s": "long"}, {"elapsed_s": float("inf")},
        {"notes": ["a\0"]}, {"notes": ["\ud800"]}, {"notes": "a"}, {"data": None}, {"constraints": [1]},
        {"pareto": ["0f3a5c7e9b1d"] * 2001},
    ):  # fmt: skip
        with pytest.raises(EdgewrightError, match="cannot be read"):
            found({**REPORT, **odd} if isinstance(odd, dict) and odd else odd)


@pytest.mark.parametrize(
    ("entry", "sound"),
    [
        ({"id": "0f3a5c7e9b1d"}, True), ({"id": 123456789012}, False), ({"id": "short"}, False), ([], False),
        ({"id": "0f3a5c7e9b1d", "x": "\0"}, False), ({"id": "0f3a5c7e9b1d", "x": "y" * 2**18}, False),
    ],
)  # fmt: skip
def test_a_candidate_s_line_is_one(entry, sound):
    assert sound_candidate(entry) is sound


def test_a_worker_that_could_not_be_started_is_started_again(monkeypatch, caplog):
    tries, ends = [], threading.Event()

    def start(*_, **__):
        tries.append(time.monotonic())
        if len(tries) == 3:
            ends.set()
        raise OSError(12, "Cannot allocate memory")

    monkeypatch.setattr(keeper.subprocess, "Popen", start)
    monkeypatch.setattr(keeper, "_LONGEST_S", 0.01)
    monkeypatch.setattr(keeper, "_SHORTEST_S", 0.01)
    with Keeper(["--data", "x"], ""):
        assert ends.wait(60)
    assert "cannot be started" in caplog.text


def test_what_was_refused_is_told_where_no_limit_stood_in_the_way():
    kept = {**found(REPORT), "binding": {"metric": "accuracy_drop", "kept": True, "value": 0.0}}
    told = why(kept, [{"refused": ["slower than the original: 1.21 times its latency"]}, {"refused": []}])
    assert told == "it was refused: slower than the original: 1.21 times its latency"
