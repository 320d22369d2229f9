"""Several workers at one search."""

import shutil
from types import SimpleNamespace

import pytest
from sqlalchemy import select

from edgewright.hub.database import EVERY
from edgewright.hub.jobs import fanout, trials
from edgewright.hub.jobs.fanout import Fanout
from edgewright.hub.jobs.finding import goes_on
from edgewright.hub.jobs.queue import claim
from edgewright.hub.jobs.rules import Able
from edgewright.hub.jobs.tables import Trial, Worker

PATH = "/api/edge/optimization-jobs"
WIDE = {"engines": [], "keep_structure": False, "budget_s": 120}
ONCE = pytest.mark.parametrize("url", ["sqlite"], indirect=True)
CPU, BOTH = Able.of(["onnxruntime"]), Able.of(["onnxruntime", "openvino"])


def judged(*folders):
    """What was judged: by the search, by helpers, and by neither any more, for it was known when it was asked for."""
    words = [word for folder in folders for log in (folder / "jobs").glob("*/judged")
             for word in log.read_text().splitlines()]  # fmt: skip
    return [[word.split()[1] for word in words if word.startswith(who)] for who in ("search", "helper", "known")]


def spared(*folders):
    """What a helper judged, and the search had from it when its turn came."""
    search, helper, known = judged(*set(folders))
    return set(helper) & set(known) - set(search)


def rows(jobs):
    with jobs.state.database.read(EVERY) as session:
        return session.scalars(select(Trial).order_by(Trial.number)).all()


def keep(jobs, job):
    jobs.north.post(f"{PATH}/{job['id']}/cancel", {"keep": True}, 200)


@pytest.mark.parametrize("url", ["postgresql"], indirect=True)
def test_a_second_worker_judges_what_the_search_tries_next(jobs, until, bucket, tmp_path):
    """On one machine with SQLite, on two that share a database and a store with PostgreSQL."""
    far = jobs.url.startswith("postgresql")
    where = tmp_path / "elsewhere" if far else jobs.folder
    how = {"objects": bucket} if far else {}
    if far:
        shutil.copytree(jobs.folder / "keys", where / "keys")
    jobs.worker(**how)
    job = jobs.make(**WIDE)
    jobs.until(job, "running")
    jobs.worker(folder=where, **how)
    until(lambda: jobs.show(job)["progress"]["helped"] >= 2, "the second does trials")
    until(lambda: spared(jobs.folder, where), "it comes to them")
    keep(jobs, job)
    done = jobs.until(job, *jobs.over)
    assert done["state"] in jobs.searched and done["attempts"] == 1, done
    search, helper, _ = judged(*{jobs.folder, where})
    assert spared(jobs.folder, where), "what one judged, the other does not"
    assert len(search) == len(set(search)) and len(helper) == len(set(helper))
    assert rows(jobs) == [] and done["progress"]["helpers"] == 0
    until(lambda: not list((where / "jobs").glob("*/*.wrk_*")), "nothing of it is left behind")


@ONCE
def test_a_helper_that_is_killed_is_not_waited_for(jobs, until):
    jobs.worker()
    job = jobs.make(**WIDE)
    jobs.until(job, "running")
    helper = jobs.worker()

    def has():
        return [row for row in rows(jobs) if row.worker == helper.id and row.state == "taken"]

    until(has, "it has a trial", every_s=0.01)
    helper.kill()
    until(lambda: not has(), "it is taken from it, or not wanted any more")
    tried = jobs.show(job)["progress"]["tried"]
    until(lambda: jobs.show(job)["progress"]["tried"] > tried or jobs.show(job)["state"] != "running", "it goes on")
    assert jobs.show(job)["attempts"] == 1


@ONCE
def test_a_job_comes_before_help(jobs, until):
    first = jobs.worker()
    job = jobs.make(**WIDE)
    jobs.until(job, "running")
    second = jobs.worker()
    until(lambda: [row for row in rows(jobs) if row.worker == second.id], "it helps")
    other = jobs.make(seed=1, budget_s=60)
    jobs.until(other, "running")
    assert {jobs.show(one)["worker"] for one in (job, other)} == {first.id, second.id}


@ONCE
def test_a_worker_with_places_left_helps_itself_and_lets_go_when_it_ends(jobs, until):
    worker = jobs.worker(slots=2)
    job = jobs.make(**WIDE)
    until(lambda: jobs.show(job)["progress"]["helped"] >= 1, "its own second place helps")
    assert worker.kill(15) == 0
    assert jobs.show(job)["state"] == "queued"
    assert not list((jobs.folder / "jobs").glob("*/*.wrk_*"))


def spec(number, engine="onnxruntime"):
    return {"steps": [{"pass": "simplify", "number": number}], "engine": engine, "options": {}}


@pytest.fixture
def running(jobs):
    """A job of each tenant that a worker has, and what its search wants to know."""
    jobs.register("wrk_a", "wrk_b", "wrk_c")
    made = {}
    for name in ("north", "south"):
        jobs.make(getattr(jobs.hub, name))
        tenant, job, _ = claim(jobs.state, "wrk_a", CPU)
        made[name] = SimpleNamespace(tenant=tenant, id=job)
    assert {one.tenant for one in made.values()} == {jobs.hub.tenants[name] for name in made}
    return made


def offer(jobs, job, *specs, machine="one"):
    with jobs.state.database.write(job.tenant) as session:
        wanted = {str(one["steps"][0]["number"]): one for one in specs}
        trials.offer(session, job.id, machine, wanted)
        session.flush()
        return [(row.key, row.state) for row in trials.of(session, job.id)]


def take(jobs, job, worker, able=BOTH, machine="one"):
    with jobs.state.database.write(job.tenant) as session:
        row = trials.take(session, job.id, worker, able, machine)
        return None if row is None else row.key


def test_trials_go_to_whoever_can_do_them_and_computes_alike(jobs, running):
    north, south = running["north"], running["south"]
    offer(jobs, north, spec(1, "openvino"), spec(2))
    assert trials.pick(jobs.state, BOTH, lambda: "another", ()) is None
    assert trials.pick(jobs.state, Able.of([]), lambda: "one", ()) is None
    assert trials.pick(jobs.state, CPU, lambda: "one", {north.id}) is None
    assert trials.pick(jobs.state, CPU, lambda: "one", ()) == (north.tenant, north.id)
    assert take(jobs, north, "wrk_b", CPU) == "2" and take(jobs, north, "wrk_b", CPU) is None
    assert take(jobs, north, "wrk_c", machine="another") is None
    offer(jobs, south, spec(3))
    assert trials.pick(jobs.state, BOTH, lambda: "one", ()) == (south.tenant, south.id), "nobody helps that one yet"
    assert take(jobs, north, "wrk_c") == "1"


def test_an_offer_takes_the_place_of_the_one_before(jobs, running):
    job = running["north"]
    offer(jobs, job, spec(1), spec(2), spec(3), spec(4))
    assert [take(jobs, job, "wrk_b"), take(jobs, job, "wrk_c")] == ["1", "2"]
    with jobs.state.database.write(job.tenant) as session:
        trials.finish(session, job.id, "2", "wrk_b")
        trials.finish(session, job.id, "2", "wrk_c")
    assert sorted(offer(jobs, job, spec(4), spec(5))) == [("1", "taken"), ("2", "done"), ("4", "open"), ("5", "open")]
    assert take(jobs, job, "wrk_c") == "4"
    with jobs.state.database.write(job.tenant) as session:
        trials.give_back(session, job.id, "wrk_c")
    with jobs.state.database.write(EVERY) as session:
        session.get(Worker, "wrk_b").state = "lost"
    assert sorted(offer(jobs, job, spec(1), spec(4))) == [("1", "open"), ("2", "done"), ("4", "open")]
    jobs.north.post(f"{PATH}/{job.id}/cancel", {"keep": False}, 200)
    assert trials.pick(jobs.state, BOTH, lambda: "one", ()) is None, "nobody helps what is to stop"
    with jobs.state.database.write(job.tenant) as session:
        assert not goes_on(session, job.id)
        trials.withdraw(session, job.id)
    assert rows(jobs) == []


def test_what_a_child_says_that_is_no_offer_is_passed_over(jobs, running):
    job, told = running["north"], []
    made = Fanout(jobs.state, job.tenant, job.id, "wrk_a", lambda: "one", SimpleNamespace(fetch=lambda: None))
    child = SimpleNamespace(tell=told.append)
    for odd in ("x", [1], [{}], [spec(1) | {"more": 1}], [spec(1) | {"steps": "x"}], [spec("\0")],
                [spec("y" * 20_000)], [spec(number) for number in range(33)]):  # fmt: skip
        made.hear({"ahead": odd})
        made.turn(child)
    assert rows(jobs) == [] and told == []
    made.hear({"ahead": [spec(1), spec(2)]})
    made.turn(child)
    (first, second), (line,) = rows(jobs), told
    assert (first.spec, second.spec) == (spec(1), spec(2)) and line == {"taken": [], "done": []}
    made.close()
    assert rows(jobs) == []


def test_where_nobody_is_left_to_help_nothing_is_offered_and_nothing_waited_for(jobs, running, monkeypatch):
    """The one that had a trial died: the search is told once that nobody has it."""
    for name in ("_TURN_S", "_COMPANY_S"):
        monkeypatch.setattr(fanout, name, -1.0)
    job, told = running["north"], []
    child = SimpleNamespace(tell=told.append)
    made = Fanout(jobs.state, job.tenant, job.id, "wrk_a", lambda: "one", SimpleNamespace(fetch=lambda: None))
    made.hear({"ahead": [spec(1)]})
    made.turn(child)
    (row,) = rows(jobs)
    assert take(jobs, job, "wrk_b", CPU) == row.key
    made.turn(child)
    with jobs.state.database.write(EVERY) as session:
        for name in "bc":
            session.get(Worker, f"wrk_{name}").state = "lost"
    made.turn(child)
    made.turn(child)
    assert told == [{"taken": held, "done": []} for held in ([], [row.key], [])] and rows(jobs) == []
    assert made.told() == {"helpers": 0, "helped": 0}


def test_helpers_are_told_to_their_own_tenant_alone(jobs, running):
    offer(jobs, running["north"], spec(1))
    assert take(jobs, running["north"], "wrk_b") == "1"
    for who, expected in ((jobs.north, [running["north"].id]), (jobs.hub.south, [])):
        told = {one["id"]: one for one in who.get("/api/edge/workers")["items"]}
        assert told["wrk_b"]["helping"] == expected
