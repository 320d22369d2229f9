"""Who runs next, with whom, and who waits for company: the scheduler in simulated time."""

import math
from functools import partial

import numpy as np
import pytest

from edgewright.runtime.faults import Expired, Infeasible, Overloaded
from edgewright.testing.simulation import SimulatedModel, Simulation


def taking(seconds, more=0.0, **options):
    """A model whose run takes so long, and so much longer for each further row; known to."""
    model = SimulatedModel(lambda rows: seconds + more * (rows - 1), **options)
    model.last = Simulation().now
    return model.learn(*range(1, model.most_rows + 1))


def names(model):
    return [inputs for _, inputs in model.runs]


def rows(world, model, *asked, **options):
    for name in asked:
        world.ask(model, name, rows=1, key="k", **options)


def test_one_stall_does_not_shut_everybody_out_for_ever():
    world, model = Simulation(), taking(0.005)
    model.times.add(1, 0.2)
    for _ in range(33):
        model.times.add(1, 0.005)
    assert model.times.mean() + 3 * model.times.spread() > 0.05
    world.ask(model, "a", 0.05)
    world.run()
    assert world.told["a"] == (pytest.approx(1000.005), "a")


def test_a_model_that_became_faster_is_found_out():
    world, model = Simulation(), taking(0.02)
    world.ask(model, "too early", 0.01)
    assert world.told["too early"][1] is Infeasible
    model.duration = lambda rows: 0.002
    world.run(until=world.now + 1.0)
    assert world.ask(model, "impossible", 0.0005) is None
    assert world.ask(model, "tries", 0.01) and world.ask(model, "one is enough", 0.01) is None
    world.run()
    assert world.ask(model, "knows", 0.01)
    world.run()
    assert [world.told[name][1] for name in ("tries", "knows")] == ["tries", "knows"]


def test_who_waits_for_company_keeps_half_its_time():
    world, model = Simulation(), taking(5.0, most_rows=8, delay_s=10.0)
    rows(world, model, "a", limit_s=12.0)
    world.run()
    assert model.runs == [(pytest.approx(1003.5), ["a"])], "7 s to spare"


@pytest.mark.parametrize("executors", [1, 2])
def test_others_run_while_a_batch_waits_for_company(executors):
    world, model, other = Simulation(executors), taking(0.1, most_rows=8, delay_s=1.0), taking(0.2)
    rows(world, model, "a")
    world.ask(other, "b")
    world.run()
    assert other.runs == [(1000.0, ["b"])] and model.runs == [(pytest.approx(1001.0), ["a"])]


def test_who_waits_for_company_does_not_keep_others_waiting_whose_runs_take_longer():
    world, model, other = Simulation(), taking(0.1, most_rows=8, delay_s=1.0), taking(5.0)
    rows(world, model, "a")
    world.ask(other, "b")
    world.run()
    assert model.runs == [(1000.0, ["a"])] and other.runs == [(pytest.approx(1000.1), ["b"])]
    world, model, other = Simulation(2), taking(0.1, most_rows=8, delay_s=1.0), taking(5.0)
    rows(world, model, "a")
    world.ask(other, "b")
    world.run()
    assert other.runs == [(1000.0, ["b"])] and model.runs == [(pytest.approx(1001.0), ["a"])], "an executor is left"


def test_a_batch_makes_nobody_late_who_is_behind_another():
    world, model, b, c = Simulation(), taking(1.0, 1.0, most_rows=8), taking(5.0), taking(5.0)
    world.ask(taking(0.01), "before")
    rows(world, model, "a1", limit_s=4.0)
    world.ask(b, "b", 11.1)
    world.ask(c, "c", 11.2)
    rows(world, model, "a2", "a3", "a4", limit_s=30.0)
    world.run()
    assert names(model) == [["a1"], ["a2", "a3", "a4"]], "two rows would end at 2: then b at 7, and c at 12"
    assert world.told["c"][0] <= 1011.2 and world.told["c"][1] == "c"


def test_who_is_late_anyway_keeps_no_batch_small():
    world, model, late = Simulation(), taking(1.0, 0.1, most_rows=8), taking(5.0)
    world.ask(taking(3.0), "before")
    world.ask(late, "late", 8.5, priority=3)
    rows(world, model, "a1", limit_s=60.0)
    rows(world, model, "a2", limit_s=60.0, priority=3)
    world.run()
    assert names(model) == [["a1", "a2"]] and world.told["late"][1] is Expired


def test_nobody_shares_a_run_whose_rows_are_none():
    world, model = Simulation(), taking(1.0, most_rows=8)
    world.ask(taking(1.0), "before")
    rows(world, model, "good")
    world.ask(model, "odd", rows=0, key="k")
    rows(world, model, "too")
    world.run()
    assert names(model) == [["good", "too"], ["odd"]]


def test_who_is_alone_in_line_has_no_company_to_count_on():
    world, model = Simulation(), taking(5.0, 0.1, most_rows=8)
    world.ask(taking(0.01), "before")
    world.ask(taking(0.1), "another")
    world.ask(model, "a", 3.0, rows=1, key="k")
    assert world.told["a"][1] is Infeasible


def test_who_will_share_a_run_is_promised_its_end():
    world, model = Simulation(), taking(5.0, 0.1, most_rows=8)
    world.ask(taking(1.0), "before")
    rows(world, model, "a", limit_s=6.2)
    assert world.ask(model, "too late alone", 6.5, rows=1, key="another") is None
    assert world.ask(model, "shares", 6.5, rows=1, key="k").place.promised == pytest.approx(1006.1)
    world.run()
    assert world.told["shares"] == (pytest.approx(1006.1), "shares")


def test_who_is_late_is_not_run_however_late_the_reaper_is(monkeypatch):
    world, model, blocker = Simulation(), taking(1.0), taking(0.5)
    blocker.duration = lambda rows: 1.5
    world.ask(blocker, "overruns")
    world.ask(model, "a", 2.0)
    monkeypatch.setattr(world.scheduler, "_watch", lambda: None)
    world.run()
    assert not model.runs and world.scheduler.waiting


def test_one_urgent_request_that_was_impossible_ends_no_batching():
    world, model, urgent = Simulation(), taking(1.0, 1.0, most_rows=8), taking(5.0)
    assert world.ask(urgent, "impossible", 0.001, priority=1) is None
    world.ask(taking(0.1), "before")
    rows(world, model, *"abcd")
    world.run()
    assert names(model) == [["a", "b", "c", "d"]]


def test_the_urgent_slack_is_remembered_of_who_was_refused_for_a_batch():
    world, model, urgent = Simulation(), taking(1.0, 1.0, most_rows=8), taking(1.0)
    world.ask(taking(0.1), "before")
    rows(world, model, *"abcdefgh")
    world.run(until=1001.0)
    assert world.ask(urgent, "blocked", 3.5, priority=1) is None
    rows(world, model, *"ijkl")
    world.run()
    assert [len(batch) for batch in names(model)] == [8, 2, 2], "a batch may last 2.5 s"


def test_in_a_full_line_the_least_urgent_makes_room_for_the_more_urgent():
    world, model = Simulation(most=3), taking(1.0)
    world.ask(model, "runs")
    for name in "abc":
        world.ask(model, name, priority=3)
    assert world.ask(model, "no", priority=3) is None and world.ask(model, "urgent", priority=1)
    assert world.told["c"][1] is Overloaded and world.told["no"][1] is Overloaded
    world.run()
    assert names(model) == [["runs"], ["urgent"], ["a"], ["b"]]


def test_many_shapes_that_wait_for_company_cost_little():
    world, model = Simulation(), taking(0.001, most_rows=8, delay_s=1.0)
    for shape in range(300):
        world.ask(model, shape, rows=1, key=shape)
    world.run()
    assert len(model.runs) == 300 and math.isfinite(world.now)


class World(Simulation):
    """Models of all kinds and requests of all kinds, drawn by ``seed``; some are cancelled."""

    def __init__(self, seed, executors, models, load, batched=False, priorities=1, cancelled=0.0):
        super().__init__(executors, most=40)
        self.rng, self.batched, self.priorities = np.random.default_rng(seed), batched, priorities
        self.models = [self._model() for _ in range(models)]
        self.asked, self.due, self.gone, when = {}, {}, set(), self.now
        for name in range(150):
            when += self.rng.exponential(1 / load)
            self.at(when, partial(self._come, name))
            if self.rng.random() < cancelled:
                self.at(when + self.rng.exponential(2.0), partial(self._go, name))

    def _model(self):
        least, most_rows = self.rng.uniform(0.1, 2.0), int(self.rng.integers(1, 9)) if self.batched else 1
        more = self.rng.uniform(0, least)
        return taking(least, more, most_rows=most_rows, delay_s=self.rng.choice([0.0, 0.3]))

    def _come(self, name):
        limit_s = self.rng.uniform(0.5, 12) if self.rng.random() < 0.9 else math.inf
        options = {"rows": int(self.rng.integers(1, 4)), "key": int(self.rng.integers(2))} if self.batched else {}
        model, priority = self.rng.choice(self.models), int(self.rng.integers(self.priorities)) + 1
        self.due[name] = self.now + limit_s
        self.asked[name] = self.ask(model, name, limit_s, priority=priority, **options)

    def _go(self, name):
        if self.asked[name] is not None and self.scheduler.cancel(self.asked[name]):
            self.gone.add(name)

    def broken(self):
        """Promises that were not kept, and how many there were."""
        kept = {name for name, (when, what) in self.told.items() if what == name and when <= self.due[name] + 1e-6}
        promised = {name for name, job in self.asked.items() if job is not None} - self.gone
        return len(promised - kept), len(promised)


@pytest.mark.parametrize(
    ("options", "most"),
    [
        ({"executors": 1, "models": 4, "load": 2.0}, 0.0),
        ({"executors": 3, "models": 4, "load": 5.0, "cancelled": 0.2}, 0.0),
        ({"executors": 3, "models": 1, "load": 4.0}, 0.0),
        ({"executors": 1, "models": 1, "load": 4.0, "batched": True}, 0.01),
        ({"executors": 2, "models": 3, "load": 8.0, "batched": True, "cancelled": 0.2}, 0.01),
        ({"executors": 2, "models": 3, "load": 6.0, "batched": True, "cancelled": 0.2, "priorities": 3}, 1.0),
    ],
)
def test_everybody_is_told_once_and_promises_are_kept_where_runs_take_what_they_should(options, most):
    broken = promised = 0
    for seed in range(20):
        world = World(seed, **options)
        world.run()
        assert len(world.told) == 150 and not world.scheduler.waiting and world.scheduler.idle()
        for model in world.models:
            for (began, asked), (ended, _) in zip(model.runs, [*model.runs[1:], (math.inf, [])], strict=True):
                count = sum(world.asked[name].rows for name in asked) or 1
                assert began + model.duration(count) <= ended + 1e-6, "once at a time"
                assert len(asked) == 1 or count <= model.most_rows
                assert len({world.asked[name].key for name in asked}) == 1
        more, of = world.broken()
        broken, promised = broken + more, promised + of
    assert promised > 500 and broken <= most * promised, (broken, promised)


def test_no_urgent_request_waits_for_rows_of_the_less_urgent():
    world, model = Simulation(), taking(1.0, 0.1, most_rows=8)
    world.ask(taking(3.0), "before")
    rows(world, model, "usual", limit_s=60.0)
    rows(world, model, "urgent", priority=1, limit_s=60.0)
    rows(world, model, "another", priority=1, limit_s=60.0)
    world.run()
    assert names(model) == [["urgent", "another"], ["usual"]]
