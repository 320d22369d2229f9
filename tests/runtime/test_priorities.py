"""Critical requests beside a flood of unimportant ones, in simulated time: their promises are made, and kept."""

import numpy as np
import pytest

from edgewright.runtime.scheduling.line import NEVER
from edgewright.testing.simulation import SimulatedModel, Simulation

SECONDS, BATCH = 4000.0, 8


def flooded(limit, critical=1, others=3, seed=0):
    """Of the critical requests (one in ten runs, ``limit`` runs until their deadlines) the share that was done in
    time, and that of promises kept; how many others were done a second. A run takes about a second."""
    rng, world = np.random.default_rng(seed), Simulation()
    model = SimulatedModel(lambda rows: (0.15 + 0.85 * rows) * rng.normal(1.0, 0.05), BATCH).learn(*range(1, BATCH + 1))
    jobs = {}

    def comes(kind, number, limit_s, priority):
        jobs[kind, number] = world.ask(model, (kind, number), limit_s, priority=priority, rows=1, key="alike")

    for kind, rate, limit_s, priority in (("critical", 0.1, limit, critical), ("other", 1.5, 200.0, others)):
        when = world.now
        for number in range(int(rate * SECONDS)):
            when += rng.exponential(1 / rate)
            world.at(when, lambda told=(kind, number, limit_s, priority): comes(*told))
    world.run()
    done = {name for name, job in jobs.items() if job is not None and world.told[name][1] == name
            and world.told[name][0] <= job.deadline}  # fmt: skip
    urgent = [name for name in jobs if name[0] == "critical"]
    met = len(done.intersection(urgent))
    return met / len(urgent), met / sum(jobs[name] is not None for name in urgent), (len(done) - met) / SECONDS


@pytest.mark.parametrize(("limit", "least"), [(3.0, 0.95), (5.0, 0.95)])
def test_a_flood_costs_critical_requests_nearly_nothing(limit, least):
    met, kept, others = flooded(limit)
    assert met >= least and kept >= 0.999
    assert others >= 0.9, "and the machine does not stand still meanwhile"


def test_without_priorities_it_shuts_them_out():
    met, _, others = flooded(3.0, critical=2, others=2)
    assert met < 0.1 and others > 1.1, "what the batches gain"


def test_priorities_that_clients_make_up_do_not_fill_the_memory():
    world, model = Simulation(), SimulatedModel(lambda rows: 0.001).learn()
    for number in range(1, 3000):
        world.ask(model, number, 60.0, priority=number**3)
    world.run()
    assert len(world.told) == 2999 and len(world.scheduler._admission._levels) <= 64


def overloaded(with_deadlines, without, seconds=60.0, limit_s=0.05, run_s=0.01):
    """Both come so many times as often as the machine could do alone, for so long. How long those without a deadline
    waited (those that were answered by the end), how many had to be let down then, of those with one the share of
    promises that were kept, and the share of the machine that they got."""
    rng, world = np.random.default_rng(0), Simulation()
    model = SimulatedModel(lambda rows: run_s).learn()
    came, jobs = {}, {}

    def comes(name, limit_s):
        came[name] = world.now
        jobs[name] = world.ask(model, name, limit_s)

    begin = world.now
    for kind, load, limit in (("with", with_deadlines, limit_s), ("without", without, NEVER)):
        when = begin
        while when < begin + seconds:
            when += rng.exponential(run_s / load)
            world.at(when, lambda name=(kind, when), limit=limit: comes(name, limit))
    world.run(begin + seconds)
    waits = [told[0] - came[name] for name, told in world.told.items() if name[0] == "without" and told[1] == name]
    left = [world.now - came[name] for name in came if name[0] == "without" and name not in world.told]
    let_in = [name for name, job in jobs.items() if name[0] == "with" and job is not None and name in world.told]
    kept = [name for name in let_in if world.told[name][1] == name and world.told[name][0] <= came[name] + limit_s]
    return waits, left, len(kept) / len(let_in), len(kept) * run_s / seconds


def test_who_has_no_deadline_is_not_put_off_for_ever():
    waits, left, kept, share = overloaded(3.0, 0.05)
    assert max(waits + left) < 13.0, "ten seconds, and what those before it take at a tenth of the machine"
    assert kept >= 0.999 and share > 0.85


def test_a_flood_without_deadlines_takes_its_part_and_no_more():
    waits, _, kept, share = overloaded(3.0, 0.25)
    assert 0.06 < len(waits) * 0.01 / 60.0 < 0.12
    assert kept >= 0.999 and share > 0.8


def test_a_turn_costs_nobody_a_promise():
    world, model = Simulation(), SimulatedModel(lambda rows: 1.0).learn()
    world.ask(model, "runs")
    for number in range(20):
        world.ask(model, number, 21.5)
    world.ask(model, "patient")  # in twenty seconds it would be its turn, and all behind it too late
    world.run()
    assert all(world.told[number][1] == number for number in range(20))
    assert world.told["patient"][1] == "patient" and world.told["patient"][0] == max(
        at for at, _ in world.told.values()
    )


def test_who_has_no_deadline_goes_after_those_with_a_near_one():
    world, model = Simulation(), SimulatedModel(lambda rows: 0.1).learn()
    world.ask(model, "runs")
    for name, limit_s in (("none", NEVER), ("far", 60.0), ("near", 5.0), ("none either", NEVER)):
        world.ask(model, name, limit_s)
    world.run()
    assert sorted(world.told, key=world.told.get) == ["runs", "near", "none", "none either", "far"]
