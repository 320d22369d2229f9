"""Candidates that are the same bytes on the same engine: one measurement, and never the original's alone."""

import pytest

from edgewright.compression.recipe import Recipe
from edgewright.compression.search import EXACT, Spec
from edgewright.core.store import Store
from edgewright.datasets import dataset
from edgewright.flows.answers import Answers
from edgewright.flows.bench import Bench
from edgewright.flows.limits import Limits
from edgewright.flows.settings import Settings
from edgewright.formats import load
from edgewright.targets import target
from edgewright.testing.tiny import write_tiny

STEPS = (*EXACT, {"pass": "strip"})


@pytest.fixture
def bench(tmp_path):
    write_tiny(tmp_path)
    model = load(tmp_path / "model.onnx")
    bound = dataset(str(tmp_path / "data.npz")).bind(model.signature)

    def made(source):
        store = Store(tmp_path / "store")
        return Bench(Answers(source, bound, target("host"), Settings(), store, lambda: None))

    with made(model) as first:
        small = Recipe(STEPS)(model, first.answers.context).model
    with made(small) as whole:
        limits = Limits(accuracy_drop=5.0)
        whole.start(None, lambda a, up: limits.constraints(a.value, a.unit, higher_is_better=up))
        yield whole


def test_what_is_left_as_it_came_is_judged_like_any_other(bench):
    spec = Spec(STEPS, bench.answers.runner)
    found = bench.quick(spec)
    assert found.model.digest == bench.answers.source.digest, "nothing is left to rewrite"
    assert found.metrics["accuracy_drop"].value == 0 and found.metrics["size_bytes"].value == found.model.size_bytes
    assert found.metrics["latency_ms"].conditions["over_baseline"] > 0 and found.feasible


def test_the_same_bytes_are_measured_once(bench):
    found, again = (bench.quick(Spec(steps, bench.answers.runner)) for steps in (STEPS, (*STEPS, {"pass": "strip"})))
    assert found.id != again.id and found.model.digest == again.model.digest
    assert found.metrics == again.metrics
