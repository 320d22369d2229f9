"""Bundles in the slots, measured side by side in a child that is shut in."""

import os

from edgewright.agent import Agent, Slots, Trial
from edgewright.agent.benching import bench
from edgewright.core.messages import Benchmark, read, render
from edgewright.trust import SigningKey

ABSENT = "0" * 64


def held(state, made):
    """A state whose slots hold ``a`` and ``b``."""
    with Agent(state, trial=Trial(0.0)) as agent:
        agent.start()
        for one in (made.a, made.b):
            assert agent.update(one.path).result == "committed"
        agent.runtime.stop()
    return Slots(state)


def test_what_lies_here_is_measured_and_what_does_not_is_told(state, made, key):
    slots = held(state, made)
    for seconds in (0.3, 1.2, 5.0, 20.0):  # a busy machine comes to too few rounds for an interval in a moment
        found = bench(slots, [key.public], Benchmark(7, (made.b.digest, ABSENT, made.a.digest), seconds))
        if all(one.metrics["latency_ms"].low is not None for one in found.subjects if one.metrics):
            break
    assert found.number == 7 and not found.why and read(type(found), render(found)) == found
    second, absent, first = found.subjects
    for one in (first, second):
        assert not one.why and one.rounds > 0 and one.metrics["latency_ms"].kind == "measured"
        low, high = one.metrics["latency_ms"].low, one.metrics["latency_ms"].high
        assert low <= one.metrics["latency_ms"].value <= high
        assert list(one.distribution_ms) == sorted(one.distribution_ms)
    assert second.ratio == (1.0, 1.0, 1.0) and len(first.ratio) == 3, "the first of them is the baseline"
    assert "does not have it" in absent.why and not absent.metrics
    assert found.machine["cores"] >= 1


def test_a_bundle_of_a_stranger_or_one_that_was_changed_is_not_run(state, made, key):
    slots = held(state, made)
    found = bench(slots, [SigningKey.generate().public], Benchmark(1, (made.a.digest,), 0.2))
    assert found.why == "none of them could be measured" and "sign" in found.subjects[0].why
    (model,) = slots.model(made.a.digest).rglob("*.onnx")
    model.write_bytes(model.read_bytes() + b"x")
    changed, sound = bench(slots, [key.public], Benchmark(2, (made.a.digest, made.b.digest), 0.2)).subjects
    assert changed.why and not changed.metrics
    assert not sound.why and sound.metrics, "the others go on"


def test_it_is_given_up_when_it_is_wanted_no_more(state, made, key):
    slots = held(state, made)
    reading, writing = os.pipe()
    os.write(writing, b".")
    found = bench(slots, [key.public], Benchmark(3, (made.a.digest,), 300.0), stop=reading)
    os.close(reading)
    os.close(writing)
    assert "given up" in found.why and found.subjects == ()
