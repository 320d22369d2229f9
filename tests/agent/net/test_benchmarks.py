"""Benchmarks that a hub asks for: each once, however often the agent begins anew."""

import json
import threading

import pytest

from edgewright.agent import Slots
from edgewright.agent.net import benchmarks
from edgewright.agent.net.benchmarks import BEGUN, Bencher
from edgewright.core.messages import Benchmark, BenchmarkResult, Collect, Desired, Release, read

NAME = "press-1"
LONG = 120.0
A = "a" * 64


class Benches:
    """Stands in for the measuring: what was asked for, and how it goes."""

    def __init__(self):
        self.asked, self.go_on, self.begun = [], threading.Event(), threading.Event()
        self.told = threading.Event()

    def __call__(self, slots, keys, asked, stop=None):
        self.asked.append(asked.number)
        self.begun.set()
        if asked.seconds > 100:
            import select

            select.select([stop], [], [], LONG)
        return BenchmarkResult(asked.number, machine={"asked": asked.number})


@pytest.fixture
def benches(monkeypatch):
    made = Benches()
    monkeypatch.setattr(benchmarks, "bench", made)
    return made


@pytest.fixture
def bencher(tmp_path, benches):
    running = []

    def make():
        running.append(Bencher(tmp_path, Slots(tmp_path), list, benches.told.set))
        return running[-1]

    yield make
    for one in running:
        one.close()


def test_each_is_measured_once(bencher, benches, tmp_path):
    made = bencher()
    made.turn(None)
    assert made.result(1) is None and not benches.asked
    made.turn(Benchmark(1, (A,)))
    assert benches.told.wait(LONG)
    assert read(BenchmarkResult, made.result(1)).machine == {"asked": 1}
    made.turn(Benchmark(1, (A,)))
    again = bencher()
    again.turn(Benchmark(1, (A,)))
    assert benches.asked == [1] and again.result(1) == made.result(1), "it was written down"
    benches.told.clear()
    again.turn(Benchmark(2, (A,)))
    assert benches.told.wait(LONG) and benches.asked == [1, 2] and again.result(1) is None


def test_one_that_ends_the_agent_again_and_again_is_told_as_that(bencher, benches, tmp_path):
    for _ in range(2):  # each is left as it is when the machine falls: nobody says a word
        bencher().turn(Benchmark(5, (A,), 300.0))
        assert benches.begun.wait(LONG)
        benches.begun.clear()
    assert benches.asked == [5, 5] and json.loads((tmp_path / BEGUN).read_text())["result"] is None
    made = bencher()
    made.turn(Benchmark(5, (A,), 300.0))
    assert "ended 2 times" in read(BenchmarkResult, made.result(5)).why and benches.asked == [5, 5]


def test_one_that_had_to_wait_is_begun_again_however_often(bencher, benches):
    """An update comes between, or the agent is told to end: no fault of the benchmark's."""
    made = bencher()
    for turn in range(4):
        made.turn(Benchmark(5, (A,), 300.0))
        assert benches.begun.wait(LONG)
        benches.begun.clear()
        if turn % 2:
            made.close()
            made = bencher()
        else:
            made.turn(None)
        assert made.result(5) is None
    made.turn(Benchmark(5, (A,), 1.0))
    assert benches.told.wait(LONG) and read(BenchmarkResult, made.result(5)).machine == {"asked": 5}


@pytest.mark.parametrize("then", [None, Benchmark(7, (A,))], ids=["none", "another"])
def test_one_that_is_wanted_no_more_is_given_up(bencher, benches, then):
    made = bencher()
    made.turn(Benchmark(6, (A,), 300.0))
    assert benches.begun.wait(LONG)
    made.turn(then)
    assert made.result(6) is None
    if then is not None:
        assert benches.told.wait(LONG) and read(BenchmarkResult, made.result(7)).number == 7


def test_what_was_written_down_may_be_damaged(bencher, benches, tmp_path):
    (tmp_path / BEGUN).write_text('{"number": 9, "tries": 1, "result": {"number": "x"}}')
    made = bencher()
    made.turn(Benchmark(9, (A,)))
    assert benches.told.wait(LONG) and made.result(9)


def test_a_fault_is_told(bencher, benches, monkeypatch):
    def fails(*_, **__):
        raise RuntimeError("a fault")

    monkeypatch.setattr(benchmarks, "bench", fails)
    made = bencher()
    made.turn(Benchmark(1, (A,)))
    assert benches.told.wait(LONG) and "fault" in read(BenchmarkResult, made.result(1)).why


def test_from_the_hub_and_back(hub, enrolled, services, offer, made):
    service = services(enrolled)
    offer("a")
    told = hub.told(NAME, lambda s: bool(s.result))
    assert told.current == made.a.digest
    release = Release("r1", made.a.digest, activate=True, trial_s=0.0)
    hub.want(NAME, Desired(0, release, collect=Collect(benchmark=Benchmark(4, (made.a.digest,), 0.2))))
    hub.until(lambda: (NAME, "benchmark", 4) in hub.uploads)
    found = read(BenchmarkResult, hub.uploads[NAME, "benchmark", 4])
    assert found.number == 4 and found.subjects[0].subject == made.a.digest
    assert found.subjects[0].metrics["latency_ms"].value > 0
    assert service.agent.runtime.serving() == {made.a.digest}, "what serves goes on"
