"""The device's own guardrail on a bundle in the shadow, and how a shadow goes on."""

import pytest

from edgewright.agent.shadowing import Seen, Shadowing, wrong
from edgewright.agent.states import Update
from edgewright.agent.talk import Silent

WELL = {"digest": "b" * 64, "seconds": 60.0, "asked": 600, "compared": 200, "failed": 0, "rows": 200, "disagreed": 4,
        "run_ms": 2.0, "answer_run_ms": 2.0}  # fmt: skip


@pytest.mark.parametrize(
    ("seen", "promised_ms", "limits", "told"),
    [
        ({}, 5.0, {}, ""),
        ({"failed": 4}, 0.0, {}, ""), ({"failed": 20}, 0.0, {}, "20 of its 220 runs failed"),
        ({"compared": 0, "rows": 0, "disagreed": 0, "failed": 5}, 0.0, {}, "5 of its 5 runs failed"),
        ({"disagreed": 60}, 0.0, {}, ""), ({"disagreed": 120}, 0.0, {}, "on 120 of 200 answers (60%)"),
        ({"disagreed": 20}, 0.0, {"disagreement": 0.02}, "surely more than 2%"),
        ({"rows": 4, "compared": 4, "disagreed": 4}, 0.0, {}, ""),
        ({"run_ms": 9.0}, 5.0, {}, "promises 99% within 5 ms"), ({"run_ms": 9.0, "answer_run_ms": 8.0}, 5.0, {}, ""),
        ({"run_ms": 9.0}, 0.0, {}, ""), ({"run_ms": 200.0}, 0.0, {}, "cannot keep up with 10 requests a second"),
        ({"run_ms": 200.0, "compared": 3}, 0.0, {}, ""), ({"run_ms": 200.0, "seconds": 1.0}, 0.0, {}, ""),
    ],
)  # fmt: skip
def test_what_ends_a_shadow(seen, promised_ms, limits, told):
    found = wrong(Seen.read({**WELL, **seen}), promised_ms, limits)
    assert told in found and bool(told) == bool(found), found


class Place:
    """A runtime that says what the test wants, two slots, and a clock."""

    def __init__(self, tmp_path):
        self.now, self.ends, self.told, self.calls, self.talk = 0.0, 0, [], [], self
        self.current, self.folders = "a" * 64, {"a" * 64: tmp_path / "m", "b" * 64: tmp_path / "m"}
        self.update = Update("b" * 64)
        self.shadowing = Shadowing(self, self, lambda: self.now)

    def model(self, digest):
        return self.folders.get(digest)

    def shadows(self):
        return self.told

    def shadow(self, name, folder):
        self.calls.append((name, folder is not None))
        self.told = [dict(WELL)] if folder is not None else []

    def look(self):
        return self.shadowing.look(self.update, 60.0, 0.0)


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path)


def test_it_runs_for_its_time_and_no_longer(place):
    assert place.look().verdict == "later" and place.calls == [("m", True)]
    place.now = 30.0
    assert place.look().verdict == "later"
    place.now = 60.0
    outcome = place.look()
    assert (outcome.verdict, dict(outcome.facts["shadow"])) == ("done", {"compared": 200, "disagreed": 4, "failed": 0})
    assert place.calls == [("m", True), ("m", False)]


def test_it_is_begun_again_after_the_runtime_was_and_not_for_ever(place):
    place.look()
    place.ends, place.told = 1, []
    assert place.look().verdict == "later" and place.calls == [("m", True)] * 2
    place.ends, place.told = 2, []
    outcome = place.look()
    assert (outcome.verdict, outcome.bad) == ("failed", True) and "ended 2 times" in outcome.reason


def test_what_breaks_the_guardrail_is_ended_and_bad(place):
    place.look()
    place.told = [{**WELL, "disagreed": 150}]
    outcome = place.look()
    assert (outcome.verdict, outcome.bad) == ("failed", True) and "disagrees" in outcome.reason
    assert place.calls[-1] == ("m", False)


@pytest.mark.parametrize(("current", "name"), [("", "m"), ("b" * 64, "m"), ("a" * 64, "other")])
def test_where_there_is_nothing_to_run_beside_there_is_no_shadow(place, tmp_path, current, name):
    place.current, place.folders["b" * 64] = current, tmp_path / name
    outcome = place.look()
    assert outcome.verdict == "done" and outcome.facts["shadow"]["why"] and not place.calls


def test_what_cannot_be_read_is_the_moment_s_fault(place):
    place.told = [{"digest": "b" * 64}]
    with pytest.raises(Silent):
        place.look()
    place.shadowing.end(place.update)
