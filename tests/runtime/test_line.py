"""Who runs next, and whether somebody who joins can be done in time."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgewright.runtime.scheduling.line import NEVER, Line, Waiting
from edgewright.runtime.scheduling.times import RunTimes
from edgewright.testing.simulation import SimulatedModel, Simulation

WHOLE = st.integers(1, 50)


def waiting(number, deadline=NEVER, cost=1.0, priority=2):
    job = f"job {number}"
    return Waiting(priority, deadline, number, cost, job, alone=cost, model=job)


def lines():
    entry = st.tuples(st.integers(1, 3), WHOLE | st.just(NEVER), WHOLE)
    return st.lists(entry, max_size=12).map(
        lambda entries: [Waiting(p, d, i, float(c), i) for i, (p, d, c) in enumerate(entries)]
    )


def test_the_most_urgent_first_then_the_earliest_deadline_then_who_came_first():
    line = Line()
    for one in (waiting(0), waiting(1, 9.0), waiting(2, 5.0), waiting(3, 5.0), waiting(4, 99.0, priority=1)):
        line.join(one)
    assert [w.number for w in line] == [4, 2, 3, 1, 0]


@given(lines(), lines())
def test_joining_and_leaving_keep_order(first, second):
    line = Line()
    for one in first:
        line.join(one)
    for one in first[::2]:
        line.leave(one)
        line.leave(one)
    for one in second:
        line.join(one)
    left = [*first[1::2], *second]
    assert sorted(map(id, line)) == sorted(map(id, left)) and len(line) == len(left)
    assert list(line) == sorted(line)


@given(lines(), WHOLE, WHOLE, st.integers(1, 3))
def test_nobody_is_promised_what_the_line_cannot_keep(entries, deadline, cost, priority):
    """Whoever was let in is done in time when everyone takes as long as expected, lower priorities excepted."""
    line = Line()
    for one in entries:
        if line.finish(one, [0.0]) is not None:
            line.join(one)
    new = Waiting(priority, float(deadline), 99, float(cost), "new")
    done = line.finish(new, [0.0])
    if done is not None:
        line.join(new)
    clock = 0.0
    most_urgent = min((w.priority for w in line), default=1)
    for one in line:
        clock += one.cost
        assert one is not new or clock == done
        assert one.priority != most_urgent or clock <= one.deadline


def test_a_margin_keeps_out_who_would_only_just_make_it():
    line = Line()
    assert line.finish(waiting(0, 10.0, 9.0), [0.0]) == 9.0
    assert line.finish(waiting(0, 10.0, 9.0), [0.0], margin=2.0) is None


def test_the_hopeless_are_found_when_they_become_so():
    line = Line()
    for one in (waiting(0, 5.0, 2.0), waiting(1, 50.0), waiting(2)):
        line.join(one)
    assert line.next_deadline() == 3.0
    assert line.hopeless(3.0) == []
    (lost,) = line.hopeless(3.5)
    line.leave(lost)
    assert lost.number == 0 and [w.number for w in line] == [1, 2] and line.next_deadline() == 49.0


def test_run_times_are_learnt_and_stretched_to_sizes_not_seen():
    times = RunTimes(guess_s=0.5)
    assert times.mean() == 0.5
    for _ in range(100):
        times.add(1, 0.010)
        times.add(8, 0.040)
    assert abs(times.mean(1) - 0.010) < 1e-9 and abs(times.mean(8) - 0.040) < 1e-9 and times.spread(1) < 1e-9
    assert abs(times.mean(16) - 0.080) < 1e-9, "twice the rows take at most twice as long"
    assert abs(times.mean(6) - 0.040) < 1e-9
    for _ in range(100):
        times.add(1, 0.020)
    assert abs(times.mean(1) - 0.020) < 1e-9, "what was long ago is forgotten"


def test_run_times_of_fewer_rows_than_were_seen_are_tried():
    times = RunTimes()
    times.add(64, 0.064)
    assert times.usual(1) == times.usual_s == pytest.approx(0.001)
    times.add(1, 0.050)
    assert times.mean(2) == 0.1 and times.mean(63) == 0.064


def test_a_size_that_comes_seldom_is_learnt_all_the_same():
    times = RunTimes()
    times.add(8, 1.0)
    for _ in range(100):
        for _ in range(32):
            times.add(1, 0.001)
        times.add(8, 0.010)
    assert times.mean(8) == pytest.approx(0.010)


def test_what_is_forgotten_is_told_until_the_next_run():
    times = RunTimes()
    for _ in range(100):
        times.add(1, 0.020)
    times.forget()
    assert times.usual() == 0.020
    times.add(1, 0.001)
    assert times.usual() == times.usual_s == 0.001


def test_two_executors_share_what_is_ahead():
    line = Line()
    for number in range(3):
        line.join(waiting(number, 50.0 + number, 4.0))
    new = waiting(9, 60.0, 2.0)
    assert line.finish(new, [0.0]) == 14.0
    assert line.finish(new, [0.0, 1.0]) == 7.0, "4, 5 and 8 are the ends before it; it begins at 5"


def test_a_model_that_runs_once_at_a_time_takes_one_executor():
    line = Line()
    for number in range(3):
        line.join(Waiting(2, 50.0 + number, number, 4.0, None, model="a"))
    assert line.finish(Waiting(2, 60.0, 8, 2.0, None, model="a"), [0.0, 0.0]) == 14.0
    assert line.finish(Waiting(2, 60.0, 9, 2.0, None, model="b"), [0.0, 0.0]) == 2.0
    assert line.finish(Waiting(2, 60.0, 9, 2.0, None, model="b"), [5.0, 0.0], {"b": 5.0}) == 7.0


def test_the_spread_of_all_that_is_ahead_must_fit_too():
    line = Line()
    for number in range(4):
        line.join(Waiting(1, NEVER, number, 1.0, None, 0.5))
    assert line.finish(waiting(9, 8.1), [0.0], spreads=3.0) == 5.0
    assert line.finish(waiting(9, 7.9), [0.0], spreads=3.0) is None, "four variances of 0.25 add to 1"


def simulate(load, service, seconds=400.0, executors=1, models=1, seed=0):
    """Requests that come at random at ``load`` times what one executor can do, deadlines 3 to 10 usual runs: shares
    of those let in who were done in time, and of the executors' time spent on them."""
    rng, runs = np.random.default_rng(seed), np.random.default_rng(seed + 1)
    world = Simulation(executors)
    held = [SimulatedModel(lambda rows: service(runs)).learn() for _ in range(models)]
    limits, asked, when = {}, {}, world.now

    def ask(name):
        asked[name] = world.ask(held[name % models], name, limits[name])

    for name in range(int(load * seconds)):
        when += rng.exponential(1 / load)
        limits[name] = rng.uniform(3, 10)
        world.at(when, lambda name=name: ask(name))
    world.run()
    let_in = {name: job.arrived for name, job in asked.items() if job is not None}
    met = [name for name, came in let_in.items() if world.told[name][1] == name
           and world.told[name][0] - came <= limits[name]]  # fmt: skip
    assert len(world.told) == len(limits) and not world.scheduler.waiting
    return len(met) / len(let_in), len(met) / seconds / executors


def steady(rng):
    return rng.normal(1.0, 0.05)


def rough(rng):
    """One run in fifty takes three times as long."""
    return rng.normal(1.0, 0.1) + 2.0 * (rng.random() < 0.02)


def stalling(rng):
    """One run in two thousand takes fifteen times as long."""
    return rng.normal(1.0, 0.05) + 15.0 * (rng.random() < 0.0005)


@pytest.mark.parametrize(("service", "promise"), [(steady, 0.999), (rough, 0.997), (stalling, 0.99)])
def test_under_twice_the_load_promises_are_kept_and_the_machine_is_used(service, promise):
    kept, used = simulate(2.0, service, seconds=4000.0)
    assert kept >= promise and used >= 0.9, (kept, used)


def test_under_little_load_nearly_everybody_is_let_in():
    kept, used = simulate(0.5, steady, seconds=2000.0)
    assert kept >= 0.999 and used >= 0.46, (kept, used)


@pytest.mark.parametrize(("models", "load", "least"), [(1, 2.0, 0.24), (4, 8.0, 0.95)])
def test_a_model_runs_once_at_a_time_however_many_executors_there_are(models, load, least):
    kept, used = simulate(load, steady, 1000.0, executors=4, models=models)
    assert kept >= 0.998 and used >= least, (kept, used)
