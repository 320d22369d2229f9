"""Shadows: asked what others answered, when there is room; what they say is compared, counted, and given to nobody."""

import json
import math
import threading
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from edgewright.core.errors import EngineError, InputError
from edgewright.core.model import Signature, TensorSpec
from edgewright.core.session import EngineOptions
from edgewright.core.sketches import Sketch
from edgewright.runtime.desk import Desk
from edgewright.runtime.experiments.comparison import Comparison, OutputComparison
from edgewright.runtime.experiments.desk import ShadowDesk
from edgewright.runtime.experiments.shadow import Shadow, Shadows
from edgewright.runtime.repository import Repository
from edgewright.runtime.scheduling.line import NEVER
from edgewright.runtime.scheduling.scheduler import Scheduler
from edgewright.runtime.served import Served

LONG = 60.0
FLOATS = hnp.arrays(np.float32, st.just((2, 3)), elements=st.floats(width=32))


def compared(first, second):
    made = OutputComparison()
    made.add(np.array(first), np.array(second))
    return made


@pytest.mark.parametrize(
    ("first", "second", "absolute", "relative"),
    [
        ([1.0, 2.0], [1.0, 2.5], 0.5, 0.25),
        ([1, 2], [1, 2], 0.0, 0.0),
        ([0.0], [0.0], 0.0, 0.0),
        ([True], [False], 1.0, 1.0),
        ([math.nan, 4.0], [math.nan, 3.0], 1.0, 0.25),
        ([math.inf, 4.0], [math.inf, 4.0], 0.0, 0.0),
    ],
)
def test_the_largest_difference_counts_and_equal_nans_are_none(first, second, absolute, relative):
    found = compared(first, second)
    assert found.absolute.quantile(0.5) == pytest.approx(absolute, rel=0.02)
    assert found.relative.quantile(0.5) == pytest.approx(relative, rel=0.02)


@pytest.mark.parametrize(("first", "second"), [([math.nan], [1.0]), ([1.0], [math.inf]), ([math.inf], [-math.inf])])
def test_a_number_against_none_is_infinitely_far(first, second):
    found = compared(first, second)
    assert (found.absolute.infinities, found.relative.infinities, found.absolute.count) == (1, 1, 0)


def test_other_choices_are_counted_by_row():
    found = compared([[0.1, 0.9], [0.8, 0.2]], [[0.2, 0.8], [0.3, 0.7]])
    assert (found.choices, found.other_choices, found.to_json()["share_of_other_choices"]) == (2, 1, 0.5)
    assert compared([0.1, 0.9], [0.9, 0.1]).choices == 0, "a row of samples is no choice"


@pytest.mark.parametrize(
    ("first", "second", "unlike"),
    [([1.0], [1.0, 2.0], 1), (["a"], ["a"], 0), (["a"], ["b"], 1), (["1"], [1], 1), ([], [], 0)],
)
def test_what_cannot_be_subtracted_is_alike_or_not(first, second, unlike):
    assert compared(first, second).unlike == unlike


@given(st.lists(st.tuples(FLOATS, FLOATS), max_size=6), st.integers(0, 6))
def test_comparisons_merge_to_the_whole(pairs, cut):
    whole, parts = Comparison(), (Comparison(), Comparison())
    for number, (first, second) in enumerate(pairs):
        for one in (whole, parts[number >= cut]):
            one.add({"y": first}, {"y": second}, 0.001 * (number + 1))
    parts[0].merge(parts[1])
    assert parts[0].to_json() == whole.to_json() and parts[0].total_ns == whole.total_ns
    assert whole.as_one().outputs[""].unlike == sum(output.unlike for output in whole.outputs.values())
    json.dumps(whole.to_json(), allow_nan=False)


class Plus:
    """A session that adds a number; ``held`` lets it run only when told to."""

    signature = Signature((TensorSpec("x", "float32", ("n",)),), (TensorSpec("y", "float32", ("n",)),))

    def __init__(self, number, fails=False):
        self.number, self.fails, self.asked = number, fails, []
        self.began, self.go = threading.Semaphore(0), threading.Semaphore(10**6)

    def infer(self, inputs):
        self.asked.append(float(inputs["x"][0]))
        self.began.release()
        assert self.go.acquire(timeout=LONG)
        if self.fails:
            raise EngineError("it failed")
        return {"y": inputs["x"] + self.number}

    def close(self):
        pass


def version(name, number, takes=0.001, threads=1, fails=False):
    options = EngineOptions(threads=threads)
    undeclared = {"preprocessing": None, "postprocessing": None}
    source = SimpleNamespace(
        name="m", version=name, digest=f"d{name}", engine="fake", written_ns=0, options=options, **undeclared
    )
    served = Served(source, Plus(number, fails))
    for _ in range(40):
        served.times.add(1, takes)
    return served


class Place:
    """Shadows on a clock that the test moves, where there is room for everything."""

    def __init__(self, shadow, share=0.05):
        self.now, self.scheduler, self.held = 100.0, Scheduler(), {shadow.source.version: shadow}
        self.shadow, self.first = shadow, version("1", 1.0)
        told = [Shadow("m", shadow.source.version, share)]
        self.shadows = Shadows(self.find, self.scheduler, told, clock=self.clock)
        self.shadows.slack.asked(0.0, 1e9)

    def clock(self):
        return self.now

    def find(self, name, version):
        return self.held.get(version)

    def offer(self, value, served=None):
        x = np.full(1, value, np.float32)
        return self.shadows.offer(served or self.first, {"x": x}, {"y": x + 1})

    def report(self):
        return self.shadows.report()[0]


def test_a_shadow_is_asked_the_same_and_compared():
    place = Place(version("2", 1.5))
    assert place.shadows.step() == NEVER
    assert place.offer(3.0) and place.report()["waiting"] == 1
    assert place.shadows.step() == 0.0
    told = place.report()
    (found,) = told["comparisons"]
    assert place.shadow.session.asked == [3.0] and (told["waiting"], told["shed"], found["compared"]) == (0, 0, 1)
    assert (found["answered_by"], found["digest"]) == ("1", "d2")
    assert Sketch.from_json(found["outputs"]["y"]["absolute"]).quantile(0.5) == pytest.approx(0.5, rel=0.02)
    assert place.shadow.stats.requests == 0, "nobody asked for it"
    json.dumps(told, allow_nan=False)


def test_its_copies_are_its_own():
    place = Place(version("2", 1.0))
    x = np.ones(1, np.float32)
    y = x + 1
    place.shadows.offer(place.first, {"x": x}, {"y": y})
    x[:] = y[:] = 99
    place.shadows.step()
    assert place.shadow.session.asked == [1.0]
    assert place.report()["comparisons"][0]["outputs"]["y"]["absolute"]["zeros"] == 1


def test_it_is_not_run_while_somebody_waits_or_runs():
    place = Place(version("2", 1.0))
    place.offer(1.0)
    assert place.scheduler.enter(place.first)
    assert 0 < place.shadows.step() < 1 and not place.shadow.session.asked
    place.scheduler.leave(place.first)
    assert place.shadows.step() == 0.0 and place.shadow.session.asked


def test_it_is_not_run_where_it_would_take_longer_than_there_is():
    place = Place(version("2", 1.0, takes=0.5))
    place.shadows.slack.asked(0.0, 0.4)
    place.offer(1.0)
    assert 0 < place.shadows.step() < 1 and not place.shadow.session.asked


@pytest.mark.parametrize(("share", "threads"), [(0.05, 1), (0.5, 1), (0.1, 2)])
def test_it_takes_no_more_than_its_share_of_time(share, threads):
    place = Place(version("2", 1.0, threads=threads), share)
    session = place.shadow.session
    once = session.infer

    def infer(inputs):
        place.now += 0.01
        return once(inputs)

    session.infer = infer
    while place.now < 110.0:
        place.offer(1.0)
        place.now += place.shadows.step()
    busy = 0.01 * len(session.asked) * threads
    assert share * 10 * 0.9 < busy <= share * 10 + 0.01 * threads


def test_what_does_not_fit_the_queue_is_shed_and_counted():
    place = Place(version("2", 1.0))
    assert [place.offer(1.0) for _ in range(40)].count(False) == 8
    assert place.report()["waiting"] == 32 and place.report()["shed"] == 8
    large = np.zeros(3 * 2**20, np.float32)
    place = Place(version("2", 1.0))
    assert [place.shadows.offer(place.first, {"x": large}, {"y": large[:1]}) for _ in range(2)] == [True, False]


def test_who_has_no_shadow_or_is_it_is_not_copied():
    place = Place(version("2", 1.0))
    place.first.source.name = "another"
    assert not place.offer(1.0) and not place.offer(1.0, place.shadow)
    assert place.report()["shed"] == place.report()["waiting"] == 0


def test_a_shadow_that_is_gone_or_fails_harms_nobody():
    place = Place(version("2", 1.0))
    place.offer(1.0)
    place.held.clear()
    assert place.shadows.step() == 0.0 and place.report()["shed"] == 1 and place.report()["waiting"] == 0
    place = Place(version("2", 1.0, fails=True))
    place.offer(1.0)
    assert place.shadows.step() == 0.0 and place.scheduler.idle()
    assert place.report()["comparisons"][0]["failed"] == 1


def test_a_shadow_that_is_not_there_is_neither_loaded_for_that_nor_does_it_count_as_refused():
    held, first, wanted = Repository(), version("1", 1.0), []
    held.put(first)
    held.note("m", "2", "UNAVAILABLE", "it was unloaded to make room")
    held.wanted = wanted.append
    shadows = Shadows(held.find_version, Scheduler(), [Shadow("m", "2")])
    x = np.ones(1, np.float32)
    assert shadows.offer(first, {"x": x}, {"y": x}) and shadows.step() == 0.0
    assert shadows.report()[0]["shed"] == 1 and not wanted and not held.totals.asleep


def test_what_nobody_thought_of_costs_one_comparison_and_no_other():
    place = Place(version("2", 1.0))
    once = place.shadow.session.infer
    for trouble in (lambda inputs: 1 / 0, lambda inputs: {"y": None}):
        place.shadow.session.infer = trouble
        place.now += 10
        assert place.offer(1.0) and place.shadows.step() == 0.0 and place.scheduler.idle()
    place.shadow.session.infer = once
    place.now += 10
    place.shadow.pipeline = "none"
    assert place.offer(1.0) and place.shadows.step() == 0.0
    place.shadow.pipeline = None
    assert place.offer(2.0) and place.shadows.step() == 0.0
    told = place.report()
    assert (told["waiting"], told["shed"], place.shadow.session.asked) == (0, 1, [2.0])


def test_versions_that_were_replaced_are_told_apart_and_forgotten_in_time():
    place = Place(version("2", 1.0))
    for number in range(6):
        place.now += 10
        place.offer(1.0, version(f"old {number}", 1.0))
        place.shadows.step()
    found = [c["answered_by"] for c in place.report()["comparisons"]]
    assert found == ["old 2", "old 3", "old 4", "old 5"]


def test_what_is_counted_never_falls_however_many_versions_were_replaced():
    place = Place(version("2", 1.5))
    for number in range(9):
        place.now += 10
        place.offer(1.0, version(f"old {number}", 1.0))
        place.shadows.step()
    place.held.clear()
    place.offer(1.0)
    place.now += 10
    place.shadows.step()
    (totals,) = place.shadows.totals()
    assert (totals.model, totals.version, totals.whole.compared, totals.whole.latency.count) == ("m", "2", 9, 9)
    assert totals.whole.outputs[""].relative.count == 9 and totals.shed == {"full": 0, "missing": 1, "failed": 0}
    assert len(place.report()["comparisons"]) == 4 and place.report()["shed"] == 1


def test_a_desk_with_a_shadow_answers_as_without_and_the_thread_does_the_rest():
    scheduler, first, second = Scheduler(), version("1", 1.0), version("2", 3.0)
    shadows = Shadows(lambda name, version: second, scheduler, [Shadow("m", "2")])
    desk = ShadowDesk(Desk(scheduler), shadows)
    x = {"x": np.full(1, 5.0, np.float32)}
    assert desk.wait(first, x, timeout_s=LONG)["y"][0] == 6
    assert second.session.began.acquire(timeout=LONG)
    answered = threading.Event()
    desk.later(first, x, lambda outputs, fault: answered.set(), timeout_s=LONG)
    assert answered.wait(LONG) and second.session.began.acquire(timeout=LONG)
    desk.close()
    (told,) = desk.report()["shadows"]
    assert told["comparisons"][0]["compared"] == 2 and first.stats.requests == 2


def test_a_request_that_waits_is_one_request():
    scheduler, first = Scheduler(), version("1", 1.0)
    desk = ShadowDesk(Desk(scheduler), Shadows(lambda name, version: None, scheduler, [Shadow("m", "2")]))
    assert scheduler.enter(first)
    waiting = threading.Thread(target=desk.wait, args=(first, {"x": np.ones(1, np.float32)}, LONG))
    waiting.start()
    while not scheduler.waiting:
        pass
    scheduler.leave(first)
    waiting.join(LONG)
    assert len(desk.shadows.slack._spares) == 1
    desk.close()


def test_a_shadow_that_never_ends_its_run_does_not_keep_a_request_from_being_let_in():
    scheduler, first, second = Scheduler(executors=2), version("1", 1.0), version("2", 3.0)
    second.session.go = threading.Semaphore(0)
    desk = ShadowDesk(Desk(scheduler), Shadows(lambda name, version: second, scheduler, [Shadow("m", "2")]))
    x = {"x": np.ones(1, np.float32)}
    desk.wait(first, x, timeout_s=LONG)
    assert second.session.began.acquire(timeout=LONG)
    assert desk.wait(first, x, timeout_s=LONG)["y"][0] == 2, "another executor is free"
    second.session.go.release(9)
    desk.close()


@pytest.mark.parametrize(
    "told", [{}, {"version": ""}, {"version": 2}, {"version": "2", "share": 0}, {"version": "2", "share": 0.9},
             {"version": "2", "share": True}, {"version": "2", "shares": 1}, "2"],
)  # fmt: skip
def test_shadows_that_are_none_are_refused(told):
    with pytest.raises(InputError, match="'m'"):
        Shadow.from_toml("m", told)


def test_a_model_has_one_shadow():
    assert Shadow.from_toml("m", {"version": "2"}) == Shadow("m", "2", 0.05)
    with pytest.raises(InputError, match="two shadows"):
        Shadows(lambda name, version: None, Scheduler(), [Shadow("m", "1"), Shadow("m", "2")])
