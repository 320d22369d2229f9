"""Killed at every fsync and every rename, an update goes on and ends with the same files."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from edgewright.bundles.deltas import needed, read_recipe, reconstruct
from edgewright.bundles.deltas.recipe import Recipe

from .conftest import Device


def run_killed_at(device: Device, recipe: Recipe, step: int) -> bool:
    """``reconstruct`` in a process of its own that dies before its ``step``-th effect; whether it came to its end."""
    child = os.fork()
    if child == 0:
        left = [step]

        def dying(effect):  # type: ignore[no-untyped-def]
            def wrapped(*arguments, **options):  # type: ignore[no-untyped-def]
                left[0] -= 1
                if left[0] == 0:
                    os.kill(os.getpid(), signal.SIGKILL)
                return effect(*arguments, **options)

            return wrapped

        os.fsync, Path.replace = dying(os.fsync), dying(Path.replace)  # type: ignore[method-assign]
        wrong = reconstruct(recipe, device.have, device.chunks, device.into, device.sizes)
        os._exit(1 if wrong else 0)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
    return os.WIFEXITED(status)


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
@pytest.mark.parametrize("afresh", [True, False], ids=["from nothing", "on what is there"])
def test_killed_at_every_step(device: Device, afresh: bool) -> None:
    recipe = read_recipe(device.delta.recipe, device.sizes)
    for chunk in needed(recipe, device.have, device.chunks):
        device.store(chunk.digest)
    step, kills = 1, 0
    while not run_killed_at(device, recipe, step):
        kills += 1
        made = device.made()
        assert all(data == device.new[name] for name, data in made.items()), "a file is right or not there"
        if afresh:
            step += 1
            assert reconstruct(recipe, device.have, device.chunks, device.into, device.sizes) == {}
            assert device.made() == device.new and not device.strays()
            for name in device.new:
                (device.into / name).unlink()
        else:
            step = step % 3 + 1  # each run dies at its first, second or third effect
            assert kills < 100
    assert kills >= 3 and device.made() == device.new and not device.strays()
