"""Who is next: fairness among tenants, priorities in one, capabilities of workers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgewright.hub.database import EVERY
from edgewright.hub.jobs.beats import BEAT_S, DEAD_S, Watch
from edgewright.hub.jobs.caches import forget
from edgewright.hub.jobs.finding import needed
from edgewright.hub.jobs.queue import claim
from edgewright.hub.jobs.results import why
from edgewright.hub.jobs.rules import Able, Turn, content_key, nobody, turns
from edgewright.hub.jobs.steps import Runs
from edgewright.hub.jobs.tables import Worker

PATH = "/api/edge/optimization-jobs"
CPU = Able.of(["onnxruntime"])
BOTH = Able.of(["onnxruntime", "openvino"])


def test_a_tenant_with_many_jobs_does_not_starve_one_with_one(jobs):
    many = [jobs.make(seed=seed)["id"] for seed in range(8)]
    one = jobs.make(who=jobs.hub.south)["id"]
    taken = []
    for _ in range(4):
        jobs.hub.state.clock.go_on(seconds=1)
        taken.append(claim(jobs.state, "wrk_a", CPU)[1])
    assert taken[0] in (many[0], one) and taken[1] in (many[0], one) and taken[0] != taken[1]
    assert taken[2:] == many[1:3]


def test_priority_counts_within_the_tenant_alone(jobs):
    low = jobs.make()["id"]
    high = jobs.make(priority=5, seed=1)["id"]
    other = jobs.make(who=jobs.hub.south, priority=-10)["id"]
    taken = []
    for _ in range(3):
        jobs.hub.state.clock.go_on(seconds=1)
        taken.append(claim(jobs.state, "wrk_a", CPU)[1])
    assert taken.index(high) < taken.index(low) and taken.index(other) < 2


def test_a_job_goes_to_a_worker_that_can_do_it(jobs, clock):
    needy = jobs.make(engines=["openvino"])
    plain = jobs.make(seed=1)
    assert claim(jobs.state, "wrk_a", CPU)[1] == plain["id"]
    assert claim(jobs.state, "wrk_a", CPU) is None
    with jobs.state.database.write(EVERY) as session:
        session.add(worker_row("wrk_" + "a" * 26, ["onnxruntime"], clock()))
    assert "no worker here has the engine openvino" in jobs.show(needy)["reason"]
    with jobs.state.database.write(EVERY) as session:
        session.add(worker_row("wrk_" + "b" * 26, ["onnxruntime", "openvino"], clock()))
    assert jobs.show(needy)["reason"] == ""
    assert claim(jobs.state, "wrk_b", BOTH)[1] == needy["id"]


def worker_row(id_, engines, now):
    return Worker(
        id=id_, host="bench", engines=engines, accelerators=[], cores=2, memory_bytes=1, slots=1, release="0",
        beat=0, seen=now, state="live", lost=None, made=now,
    )  # fmt: skip


def test_two_jobs_of_one_content_take_turns(jobs):
    """They would share a folder."""
    first, second = jobs.make(), jobs.make(name="other", priority=3)
    taken = claim(jobs.state, "wrk_a", CPU)[1]
    assert taken == second["id"]
    assert claim(jobs.state, "wrk_a", CPU) is None and jobs.show(first)["state"] == "queued"


def test_nobody_makes_room_for_a_job_that_waits_for_another_of_its_content(jobs):
    """Who helps would let go for it, and begin again, as long as that one lasts."""
    jobs.make()
    claim(jobs.state, "wrk_a", CPU)
    jobs.make(name="other")
    assert not needed(jobs.state, BOTH)
    jobs.make(seed=1)
    assert needed(jobs.state, CPU) and not needed(jobs.state, Able.of([]))


def test_jobs_that_nobody_here_can_do_hold_up_no_other(jobs):
    for seed in range(120):
        jobs.make(engines=["openvino"], seed=seed, priority=1)
    plain = jobs.make()
    assert claim(jobs.state, "wrk_a", CPU)[1] == plain["id"] and claim(jobs.state, "wrk_a", CPU) is None


def test_workers_show_ones_own_jobs_alone(jobs, clock):
    with jobs.state.database.write(EVERY) as session:
        session.add(worker_row("wrk_" + "a" * 26, ["onnxruntime"], clock()))
    ours, theirs = jobs.make(), jobs.make(who=jobs.hub.south)
    for _ in range(2):
        claim(jobs.state, "wrk_" + "a" * 26, CPU)
    for who, job in ((jobs.north, ours), (jobs.hub.south, theirs)):
        (told,) = who.get("/api/edge/workers")["items"]
        assert told["running"] == [job["id"]] and told["state"] == "live"


@given(
    st.lists(st.builds(Turn, st.text("abc", min_size=1, max_size=3), st.integers(0, 5), st.floats(0, 9)), max_size=9)
)
def test_whoever_has_least_is_first(waiting):
    order = turns(waiting)
    assert sorted(order) == sorted(one.tenant for one in waiting)
    if waiting:
        least = min((one.running, one.served) for one in waiting)
        assert any(one.tenant == order[0] and (one.running, one.served) == least for one in waiting)


@pytest.mark.parametrize(
    ("needs", "live", "told"),
    [
        ({"engines": ["onnxruntime"]}, [], "no worker is running"),
        ({"engines": ["onnxruntime"]}, [CPU], ""),
        ({"engines": ["openvino"]}, [CPU], "no worker here has the engine openvino"),
        ({"engines": ["openvino"]}, [CPU, BOTH], ""),
    ],
)
def test_why_a_job_waits(needs, live, told):
    assert nobody(needs, live).startswith(told) and bool(nobody(needs, live)) == bool(told)


def test_a_name_or_a_priority_changes_nothing_that_is_measured():
    wish = {"seed": 1, "name": "a", "priority": 1}
    assert content_key("k", "m", "d", wish) == content_key("k", "m", "d", {"seed": 1, "name": "b", "priority": 2})
    assert content_key("k", "m", "d", wish) != content_key("k", "m", "d", {**wish, "seed": 2})
    assert content_key("k", "m", "d", wish) != content_key("k", "n", "d", wish)


class TestWatch:
    """Who is dead, seen by one that looks every two seconds."""

    def looks(self, beats, step=BEAT_S):
        now = [0.0]
        watch = Watch(lambda: now[0])
        found = []
        for beat in beats:
            found.append(watch.dead([("a", beat)]))
            now[0] += step
        return found

    def test_one_that_beats_lives(self):
        assert not any(self.looks(range(50)))

    def test_one_that_stands_still_is_dead_after_ten_seconds(self):
        found = self.looks([7] * 8)
        assert [bool(one) for one in found] == [index * BEAT_S >= DEAD_S for index in range(8)]

    def test_whoever_did_not_look_knows_nothing(self):
        """The database was gone, or this very process stood still: the others had no way to be seen."""
        assert not any(self.looks([7] * 20, step=30.0))


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
def test_measurements_that_nobody_came_back_for_go_after_a_week(jobs, clock):
    import os

    from edgewright.hub.jobs.tables import Job

    kept = jobs.make()
    tenant = jobs.hub.tenants["north"]
    with jobs.state.database.read(tenant) as session:
        content = session.find(Job, kept["id"]).content
    folders = [jobs.folder / "jobs" / tenant / name / "out" for name in (content, "old", "new")]
    for folder in folders:
        folder.mkdir(parents=True)
        long_ago = clock.now.timestamp() - (86_400 if folder.parent.name == "new" else 8 * 86_400)
        for one in (folder, folder.parent):
            os.utime(one, (long_ago, long_ago))
    forget(jobs.state)
    assert [folder.exists() for folder in folders] == [True, False, True]


@pytest.mark.parametrize(
    ("result", "words"),
    [
        ({"stopped": "", "nearest": ["a"], "binding": None}, "nothing kept every limit; loosen one"),
        ({"stopped": "the budget was spent", "nearest": [], "binding": None}, "to measure the original alone"),
    ],
)
def test_why_nothing_was_found_is_told_with_what_to_do(result, words):
    told = why(result)
    assert words in told and told.endswith("more time")


def test_the_end_of_an_earlier_claim_does_not_end_a_later_one():
    """A workflow may write down its end while the job runs here again: nobody else may be given its place then."""
    runs = Runs(1)
    first = runs.begin("job_a", 1)
    assert first and runs.of("job_a", 1) is first and runs.of("job_a", 2) is None
    assert runs.begin("job_a", 2) is None, "the earlier one has not let go yet"
    runs.end("job_a", 1)
    second = runs.begin("job_a", 2)
    assert second and second is not first
    runs.end("job_a", 1)
    assert runs.of("job_a", 2) is second and runs.begin("job_b") is None
    runs.end("job_a", 2)
    assert not runs.all()


def test_what_a_helper_had_for_itself_goes_with_it(jobs, clock):
    """Copies of a model and its data, which may be large."""
    alive, killed = "wrk_" + "a" * 26, "wrk_" + "b" * 26
    with jobs.state.database.write(EVERY) as session:
        session.add(worker_row(alive, ["onnxruntime"], clock()))
    place = jobs.folder / "jobs" / ("ten_" + "a" * 26)
    for name in ("content", f"content.{alive}", f"content.{killed}"):
        (place / name / "input").mkdir(parents=True)
    forget(jobs.state)
    assert sorted(one.name for one in place.iterdir()) == ["content", f"content.{alive}"]
