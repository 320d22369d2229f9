"""Who is measured with care."""

from edgewright.core.candidate import Candidate
from edgewright.core.session import EngineOptions
from edgewright.flows.finals import one_of_each_engine
from edgewright.testing.graphs import zoo


def candidate(name, engine):
    return Candidate(name, (), zoo()["mlp"](), engine, EngineOptions())


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
