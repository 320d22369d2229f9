"""Guardrails and supervision: pure rules on values, and on a clock that the test moves."""

import threading

import pytest

from edgewright.agent.guardrails import Counts, judge
from edgewright.agent.runtime import Backoff
from edgewright.agent.supervise import Supervisor
from edgewright.core.errors import EngineError

PAGE = """
# TYPE edgewright_requests_total counter
edgewright_requests_total{model="m",version="1",outcome="ok"} 90
edgewright_requests_total{model="m",version="1",outcome="failed"} 4
edgewright_requests_total{model="m",version="1",outcome="bad_request"} 7
edgewright_requests_total{model="m",version="2",outcome="ok"} 10
edgewright_requests_total{model="other",version="1",outcome="failed"} 99
edgewright_deadline_misses_total{model="m",version="1"} 3
edgewright_compute_seconds_bucket{model="m",version="1",le="0.001"} 50
edgewright_compute_seconds_bucket{model="m",version="1",le="0.002"} 94
edgewright_compute_seconds_bucket{model="m",version="1",le="+Inf"} 94
process_start_time_seconds 1700000000.5
"""


def runs(count, bound="0.001"):
    return {**{b: 0.0 for b in ("0.0005", "0.001", "0.002", "0.005", "0.01") if float(b) < float(bound)},
            **{b: float(count) for b in ("0.001", "0.002", "0.005", "0.01") if float(b) >= float(bound)},
            "+Inf": float(count)}  # fmt: skip


def counts(good, failed=0, late=0, bound="0.001"):
    return Counts(good, failed, late, runs(good, bound), 1.0)


def test_what_the_page_tells_of_a_model():
    found = Counts.read(PAGE, "m")
    assert (found.good, found.failed, found.late, found.started_s) == (100, 4, 3, 1700000000.5)
    assert found.quantile_s(0.5) == 0.001 and found.quantile_s(0.95) == 0.002
    assert Counts.from_json(found.to_json()) == found
    assert Counts.read("no page at all {", "m") == Counts()


def test_only_what_came_since_counts_unless_the_runtime_started_anew():
    before = Counts.read(PAGE, "m")
    after = Counts.read(PAGE.replace("} 90", "} 95"), "m")
    assert after.since(before).good == 5 and after.since(before).failed == 0
    anew = Counts.read(PAGE.replace("1700000000.5", "1700000099"), "m")
    assert anew.since(before) == anew


@pytest.mark.parametrize(
    ("now", "before", "promised", "wrong"),
    [
        (counts(0), counts(1000), 0.0, ""),
        (counts(100), counts(1000), 0.0, ""),
        (counts(95, failed=5), counts(1000, failed=2), 0.0, ""),
        (counts(80, failed=20), counts(1000, failed=2), 0.0, "failed"),
        (counts(80, failed=20), counts(800, failed=200), 0.0, ""),
        (counts(0, failed=20), counts(0), 0.0, "failed"),
        (counts(1, failed=4), counts(0), 0.0, ""),
        (counts(100, late=30), counts(1000, late=3), 0.0, "too late"),
        (counts(100, bound="0.002"), counts(1000), 0.0, ""),
        (counts(100, bound="0.005"), counts(1000), 0.0, "95%"),
        (counts(100, bound="0.005"), counts(1000), 10.0, ""),
        (counts(100, bound="0.01"), counts(1000), 3.0, "95%"),
        (counts(100, bound="0.01"), counts(0), 3.0, "promises"),
        (counts(10, bound="0.01"), counts(1000), 3.0, ""),
    ],
)
def test_what_is_worse(now, before, promised, wrong):
    told = judge(now, before, promised)
    assert wrong in told and bool(wrong) == bool(told)


def test_the_wait_grows_and_is_forgotten():
    waits, backoff = [], Backoff()
    for _ in range(9):
        backoff = backoff.after(5.0)
        waits.append(backoff.wait_s)
    assert waits == [0, 1, 2, 4, 8, 16, 32, 60, 60]
    assert backoff.after(61.0).wait_s == 0


class Runtime:
    def __init__(self):
        self.lock, self.up, self.hears, self.refuses, self.restarts = threading.RLock(), True, True, False, 0

    @property
    def alive(self):
        return self.up

    def answers(self):
        return self.up and self.hears

    def restart(self):
        self.restarts += 1
        if self.refuses:
            raise EngineError("it does not come up")
        self.up = self.hears = True


@pytest.fixture
def watched():
    runtime = Runtime()
    runtime.now = 1000.0
    runtime.wanted = True
    supervisor = Supervisor(runtime, lambda: runtime.wanted, lambda: runtime.now)

    def pass_time(seconds):
        for _ in range(seconds):
            runtime.now += 1.0
            supervisor.look()

    runtime.pass_time = pass_time
    return runtime


def test_one_that_ended_is_started_at_once(watched):
    watched.pass_time(100)
    watched.up = False
    watched.pass_time(1)
    assert watched.up and watched.restarts == 1


def test_one_that_does_not_answer_is_given_time_and_then_started_anew(watched):
    watched.hears = False
    watched.pass_time(4)
    assert watched.restarts == 0
    watched.pass_time(1)
    assert watched.restarts == 1 and watched.hears


def test_one_that_keeps_ending_is_started_less_and_less_often(watched):
    watched.up, watched.refuses = False, True
    watched.pass_time(600)
    assert 10 <= watched.restarts <= 20
    watched.refuses = False
    watched.pass_time(61)
    assert watched.up


def test_where_nothing_is_to_be_served_nothing_is_started(watched):
    watched.up = watched.wanted = False
    watched.pass_time(10)
    assert watched.restarts == 0


def test_one_that_is_being_reloaded_is_left_alone(watched):
    watched.up = False
    taken, over = threading.Event(), threading.Event()

    def reload():
        with watched.lock:
            taken.set()
            over.wait(60)

    other = threading.Thread(target=reload)
    other.start()
    taken.wait(60)
    watched.pass_time(10)
    over.set()
    other.join()
    assert watched.restarts == 0
