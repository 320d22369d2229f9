"""To look again before sleeping: worth it where something comes at once, and not where others are in the way."""

from types import SimpleNamespace

import pytest

from edgewright.runtime.lanes import loop
from edgewright.runtime.lanes.loop import Spin

FOUND = [(3, 1)]


class Played:
    """A clock, and what each look finds; ``away_s``: how long others have this core when it is given up."""

    def __init__(self, monkeypatch):
        self.clock, self.away_s, self.looks, self.left = 0.0, 0.0, 0, 0
        monkeypatch.setattr(loop, "time", SimpleNamespace(perf_counter=lambda: self.clock))
        monkeypatch.setattr(loop, "os", SimpleNamespace(sched_yield=self._away))
        self.spin = Spin()

    def _away(self):
        self.clock += self.away_s

    def poll(self, timeout, most):
        self.looks += 1
        self.clock += 1e-6
        self.left -= 1
        return FOUND if self.left < 0 else []

    def turn(self, empty, away_s=0.0):
        """How many looks it took, and what came of them, when so many find nothing at first."""
        self.looks, self.left, self.away_s = 0, empty, away_s
        return self.spin.poll(self, []), self.looks


@pytest.fixture
def played(monkeypatch):
    return Played(monkeypatch)


def test_it_looks_longer_where_something_comes_while_it_looks(played):
    for _ in range(10):
        assert played.turn(empty=2) == (FOUND, 3)
    found, looks = played.turn(empty=1000)
    assert found == [] and 90 < looks < 110


def test_what_is_there_already_is_no_catch(played):
    for _ in range(10):
        assert played.turn(empty=0) == (FOUND, 1)
    assert played.turn(empty=1000)[1] < 10


def test_where_others_want_this_core_it_sleeps_at_once(played):
    """What came while they had it would have woken a sleeper before that."""
    for _ in range(10):
        played.turn(empty=2)
    for _ in range(10):
        played.turn(empty=1, away_s=0.003)
    assert played.turn(empty=0) == ([], 0), "not a look"
    for _ in range(Spin._AGAIN):
        played.turn(empty=0)
    assert played.turn(empty=0) == (FOUND, 1), "it is tried again now and then"
