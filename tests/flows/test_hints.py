"""What a result's figures suggest about its data."""

from types import SimpleNamespace

import pytest

from edgewright.core.candidate import Candidate
from edgewright.core.measurement import Measurement
from edgewright.core.model import Model, Signature
from edgewright.core.session import EngineOptions
from edgewright.flows.hints import doubted, guesses


def candidate(name, accuracy=90.0, metric="top1", **more):
    found = Measurement(accuracy, "points", "measured", conditions={"metric": metric})
    model = Model("onnx", "m", {"m": name.encode()}, Signature((), ()))
    return Candidate(name, (), model, "onnxruntime", EngineOptions(), {"accuracy": found}, **more)


@pytest.mark.parametrize(
    ("accuracy", "classes", "metric", "told"),
    [(4.8, 5, "top1", True), (20.0, 5, "top1", True), (21.0, 5, "top1", False), (4.8, 5, "mae", False),
     (4.8, 1, "top1", False), (4.8, 0, "top1", False)],
)  # fmt: skip
def test_an_original_no_better_than_chance_is_told(accuracy, classes, metric, told):
    found = guesses(candidate("a", accuracy, metric), SimpleNamespace(per_class=(SimpleNamespace(n=10),) * classes))
    assert ("alphabetical" in found) is told and (found == "") is not told
    assert guesses(candidate("a"), None) == ""


@pytest.mark.parametrize(("accuracy", "told"), [(70.0, True), (70.4, True), (71.0, False)])
def test_an_original_that_is_no_better_than_the_commonest_class_is_told(accuracy, told):
    classes = SimpleNamespace(per_class=(SimpleNamespace(n=704), SimpleNamespace(n=296)))
    found = guesses(candidate("a", accuracy), classes)
    assert ("always naming the commonest class would be on 70.4%" in found) is told and (found == "") is not told


def test_a_better_one_that_was_left_out_for_a_doubt_is_told():
    best, small = candidate("best"), candidate("small", doubts=("the odds are small; more samples would tell",))
    scores = {"best": -1.0, "small": -2.0, "near": -1.05}

    def score(one):
        return scores[one.id]

    assert "small" in doubted(best, [best, small], score) and "more samples" in doubted(best, [best, small], score)
    assert doubted(best, [best, candidate("small", refused=("no",), doubts=("x",))], score) == ""
    assert doubted(best, [best, candidate("near", doubts=("x",))], score) == ""
    assert doubted(small, [best, small], score) == ""
    assert doubted(best, [best, candidate("small")], score) == ""
