"""Kills and power cuts at every point of an update: the device serves a verified bundle after each, and goes on."""

import random
import shutil

import onnxruntime  # noqa: F401 - loaded here, so that forked processes need not
import pytest

from edgewright.agent import Slots, children
from edgewright.testing.agents import in_process, state_folder, take, verified
from edgewright.testing.powercuts import life


@pytest.fixture
def device(made, key, ram, monkeypatch):
    """A state folder on which ``a`` was committed, copied anew by each call."""
    monkeypatch.setattr(children, "run_child", in_process)
    base = state_folder(ram / "base", key)
    assert take(base, made.a.path).good == made.a.digest

    def again():
        state = ram / "state"
        shutil.rmtree(state, ignore_errors=True)
        shutil.copytree(base, state, symlinks=True)
        return state

    return again


def lives(state, made, cuts, mode, seed=0):
    """Cut off at each of ``cuts`` in turn, one life after the other; then one to its end. How often it was cut."""
    count = 0
    for number, cut in enumerate([*cuts, 0]):
        found = life(state, lambda: take(state, made.b.path), cut, mode, seed + number)
        assert not found.wrong, (mode, cuts, number, found)
        assert verified(state) in {made.a.digest, made.b.digest}, "even before recovery"
        count += found.killed
    return count


@pytest.mark.parametrize("mode", ["kill", "synced", "drawn"])
def test_at_every_point_of_an_update(device, made, mode):
    points = life(device(), lambda: None, 0).points
    state = device()
    whole = life(state, lambda: take(state, made.b.path))
    assert not whole.wrong and whole.points > 100, whole
    assert Slots(state).current == made.b.digest
    for cut in range(points + 1, whole.points + 1):
        state = device()
        assert lives(state, made, [cut], mode, seed=cut) == 1
        assert Slots(state).current == made.b.digest, (mode, cut)


@pytest.mark.parametrize("mode", ["kill", "synced", "drawn"])
def test_again_and_again_at_random(device, made, mode):
    rng, kills = random.Random(mode), 0
    while kills < 40:
        state = device()
        kills += lives(state, made, [rng.randrange(1, 150) for _ in range(rng.randrange(1, 6))], mode, seed=kills)
        now = take(state, made.b.path)
        assert now.good == made.b.digest or now.good == made.a.digest, now
