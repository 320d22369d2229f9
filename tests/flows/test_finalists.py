"""Who is measured with care, and what counts as a gain."""

from dataclasses import replace

import pytest

from edgewright.core.candidate import Candidate, Clause, Constraint
from edgewright.core.measurement import Measurement
from edgewright.core.session import EngineOptions
from edgewright.flows.finals import again, choose, finalists, gains, one_of_each_engine, shut_out, slower
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


def final(name, engine, used):
    limit = Constraint("ram_bytes", "max", 100.0, "B")
    return replace(candidate(name, engine), clauses=(Clause(limit, used, limit.slack(used)),))


def test_an_engine_that_holds_too_much_gives_its_places_to_others():
    finals = [final("a", "openvino", 200.0), final("b", "openvino", 300.0), final("c", "onnxruntime", 50.0)]
    assert shut_out(finals) == {"openvino"}
    assert shut_out([*finals, final("d", "openvino", 90.0)]) == set()
    scores = {"a": 1.0, "b": 2.0, "c": 5.0, "d": 3.0, "e": 4.0, "f": 6.0}
    ranked = [candidate(name, "openvino" if name in "abd" else "onnxruntime") for name in "abdecf"]
    chosen = again(ranked, finals, finals, finals[2], lambda c: scores[c.id])
    assert [c.id for c in chosen] == ["e"], "the other engine's, and better than what was found"
    assert [c.id for c in again(ranked, finals, finals, None, lambda c: 0.0)] == ["e", "f"]
    kept = [final("c", "onnxruntime", 50.0)]
    assert again(ranked, kept, kept, kept[0], lambda c: scores[c.id]) == [], "nobody's place was taken"
