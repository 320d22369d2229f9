"""Who is measured with care, and what counts as a gain."""

from dataclasses import replace

import pytest

from edgewright.core.candidate import Candidate
from edgewright.core.measurement import Measurement
from edgewright.core.session import EngineOptions
from edgewright.flows.finals import choose, finalists, gains, one_of_each_engine, slower
from edgewright.testing.graphs import zoo


def candidate(name, engine="onnxruntime", **metrics):
    found = {
        metric: Measurement(value, "ms", "measured", 100, value * (1 - spread), value * (1 + spread))
        for metric, (value, spread) in metrics.items()
    }
    return Candidate(name, (), zoo()["mlp"](), engine, EngineOptions(), found)


def test_the_best_of_each_engine_comes_first_and_the_others_keep_their_order():
    ranked = [
        candidate("a", "openvino"),
        candidate("b", "openvino"),
        candidate("c", "onnxruntime"),
        candidate("d", "x"),
    ]
    assert [c.id for c in one_of_each_engine(ranked)] == ["a", "c", "d", "b"]


def test_nobody_is_nobody():
    assert one_of_each_engine([]) == []


BASE = candidate("base", latency_ms=(2.0, 0.01), size_bytes=(1000, 0), ram_bytes=(500, 0))


@pytest.mark.parametrize(
    ("metrics", "won"),
    [
        ({"latency_ms": (1.8, 0.01)}, True),
        ({"latency_ms": (1.99, 0.02)}, False),
        ({"latency_ms": (2.0, 0.01), "size_bytes": (995, 0)}, False),
        ({"latency_ms": (2.0, 0.01), "size_bytes": (500, 0)}, True),
        ({"latency_ms": (2.0, 0.01), "ram_bytes": (400, 0)}, True),
        ({"size_bytes": (1000, 0)}, False),
    ],
    ids=["faster", "perhaps faster", "a trifle smaller", "smaller", "less memory", "nothing known"],
)
def test_a_gain_is_one_beyond_doubt(metrics, won):
    assert gains(candidate("c", **metrics), BASE) is won


def test_slower_is_what_is_known_to_be():
    assert slower(candidate("c", latency_ms=(2.1, 0.01)), BASE)
    assert not slower(candidate("c", latency_ms=(2.0, 0.01)), BASE)
    assert not slower(candidate("c"), BASE) and not slower(candidate("c", latency_ms=(2.1, 0.01)), None)


def doubtful(name, **metrics):
    return replace(candidate(name, **metrics), doubts=("may lose more",))


def speed(c):
    return c.metrics["latency_ms"].value


def test_a_doubt_gives_way_to_a_slower_gain_but_not_to_none():
    fast, slow = doubtful("fast", latency_ms=(1.0, 0.01)), candidate("slow", latency_ms=(1.5, 0.01))
    same = candidate("same", latency_ms=(2.0, 0.01))
    assert choose([fast, slow, same], BASE, speed) is slow
    assert choose([fast, same], BASE, speed) is fast
    assert choose([same], BASE, speed) is same
    assert choose([], BASE, speed) is None


def test_those_without_a_doubt_are_measured_first():
    many = [doubtful("a"), candidate("b"), doubtful("c"), candidate("d"), replace(candidate("e"), refused=("no",))]
    assert [c.id for c in finalists(many, 3)] == ["b", "d", "a"]


def test_the_fastest_is_measured_even_where_others_score_better():
    ranked = [candidate(n, latency_ms=(v, 0.01)) for n, v in (("a", 2.0), ("b", 1.9), ("c", 1.5), ("d", 1.8))]
    assert [c.id for c in finalists(ranked, 2)] == ["a", "c"]
    assert [c.id for c in finalists([doubtful("e", latency_ms=(0.1, 0.01)), *ranked], 2)] == ["a", "c"]
