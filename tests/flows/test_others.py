"""Others that build and judge ahead of a search, in this process: what it finds is what it would have found alone."""

import pytest

from edgewright.compression.search import EXACT, Spec
from edgewright.core.errors import EngineError
from edgewright.core.store import Store
from edgewright.datasets import dataset
from edgewright.flows import answers as judging
from edgewright.flows.answers import Answers
from edgewright.flows.compile import optimize
from edgewright.flows.settings import Settings
from edgewright.formats import load
from edgewright.targets import target
from edgewright.testing.tiny import write_tiny

SETTINGS = Settings(budget_s=120.0, engines=("onnxruntime",))


class Others:
    """They have done all that was offered by the time it is waited for, or have just begun it and never end."""

    def __init__(self, answers, stuck=False):
        self.answers, self.stuck, self.offers, self.judged = answers, stuck, [], set()

    def offer(self, specs):
        self.offers.append([spec.key for spec in specs])
        for spec in specs if not self.stuck else ():
            if spec.key not in self.judged:
                self.judged.add(spec.key)
                self.answers.ahead(spec)

    def wait(self, spec, ahead, checkpoint):
        checkpoint()
        if self.stuck:
            ahead(spec)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tiny")
    write_tiny(folder)
    return folder


def opened(tiny, store):
    model = load(tiny / "model.onnx")
    bound = dataset(str(tiny / "data.npz")).bind(model.signature)
    return Answers(model, bound, target("raspberry-pi-4"), SETTINGS, store, lambda: None)


def search(tiny, work, others=None):
    return optimize(
        tiny / "model.onnx", str(tiny / "data.npz"), "raspberry-pi-4", work=work, settings=SETTINGS, others=others
    )


def told(result):
    return [(one.id, one.model.digest, sorted(one.metrics)) for one in result.candidates]


@pytest.fixture(scope="module")
def alone(tiny, tmp_path_factory):
    return told(search(tiny, tmp_path_factory.mktemp("alone")))


def test_what_is_found_is_the_same_and_most_of_it_was_judged_ahead(tiny, alone, tmp_path):
    with opened(tiny, Store(tmp_path)) as answers:
        answers.open(None)
        others = Others(answers)
        assert told(search(tiny, tmp_path, others)) == alone
    assert others.offers[-1] == [], "at the end nothing is wanted"
    tried = [key for key, _, _ in alone]
    assert len(others.judged) >= 0.8 * (len(tried) - 1)


def test_while_it_waits_the_search_does_its_part(tiny, alone, tmp_path):
    assert told(search(tiny, tmp_path, Others(None, stuck=True))) == alone


def test_what_one_judged_the_next_finds(tiny, tmp_path, monkeypatch):
    calls, evaluate = [], judging.evaluate
    monkeypatch.setattr(judging, "evaluate", lambda *a, **k: calls.append(k["subject"]) or evaluate(*a, **k))
    with opened(tiny, Store(tmp_path)) as first, opened(tiny, Store(tmp_path)) as second:
        for one in (first, second):
            one.open(None)
        spec = Spec(EXACT, first.runner)
        first.ahead(spec)
        assert len(calls) == 3
        second.ahead(spec)
        assert len(calls) == 3 and second.build(spec).model.digest == calls[-1]


def test_it_must_be_open(tiny, tmp_path):
    with pytest.raises(EngineError, match="not open yet"):
        opened(tiny, Store(tmp_path)).opened  # noqa: B018
