"""Critical requests beside a flood of unimportant ones, in simulated time: their promises are made, and kept."""

import numpy as np
import pytest

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
