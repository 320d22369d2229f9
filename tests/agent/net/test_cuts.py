"""Kills and power cuts in the middle of an update from the hub, at points drawn by chance."""

import json
import random
import shutil
import subprocess
import sys

import onnxruntime  # noqa: F401 - loaded here, so that forked processes need not
import pytest

from edgewright.agent import children
from edgewright.agent.net import enrol
from edgewright.agent.net.wishes import Wishes
from edgewright.core.child import environment
from edgewright.core.messages import Desired, Release
from edgewright.testing.agents import in_process, verified
from edgewright.testing.powercuts import life

HUB = """
import json, sys
from pathlib import Path
from edgewright.testing.hubs import TestHub
from edgewright.trust import load_public_key
told = json.loads(sys.argv[1])
key = load_public_key(told["key"])
with TestHub(Path(told["folder"])) as hub:
    for path, old in told["bundles"]:
        hub.release(Path(path), key, (), tuple(map(Path, old)))
    print(json.dumps({"url": hub.url, "token": hub.token()}), flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def apart(tmp_path, made, key):
    """A hub in a process of its own, for processes that fork have no threads: its URL and a token."""
    (tmp_path / "signer.pub").write_text(key.public.text())
    large, larger = str(made.large.path), str(made.larger.path)
    told = {
        "key": str(tmp_path / "signer.pub"),
        "folder": str(tmp_path / "hub"),
        "bundles": [[large, []], [larger, [large]]],
    }
    command = [sys.executable, "-c", HUB, json.dumps(told)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, env=environment(None)) as child:
        yield json.loads(child.stdout.readline())
        child.stdin.close()


def bring(state, digest):
    """One life: recover, and take the update to its end, without a poll: what is wanted is on the disk."""
    from tests.agent.net.conftest import One

    one = One(state)
    try:
        assert one.slots.current == verified(state), "what serves after recovery is what was found"
        for _ in range(200):
            one.act()
            if one.machine.now.state == "trial":
                one.link.poll()
            if one.machine.now.state == "idle" and one.machine.now.good == digest:
                return
        raise AssertionError(one.machine.now)
    finally:
        one.close()


def want(state, digest):
    wishes = Wishes(state)
    release = Release("r", digest, activate=True, trial_s=0.0)
    assert wishes.take(Desired(wishes.desired.revision + 1, release), wishes.desired.revision)


@pytest.mark.parametrize("mode", ["kill", "synced", "drawn"])
def test_at_points_drawn_by_chance(apart, made, ram, monkeypatch, mode):
    monkeypatch.setattr(children, "run_child", in_process)
    monkeypatch.setattr("edgewright.trust.updates.download.PIECE_BYTES", 65536)
    base, state = ram / "base", ram / "state"
    enrol(base, apart["url"], apart["token"], "press-1")
    want(base, made.large.digest)
    bring(base, made.large.digest)
    want(base, made.larger.digest)

    def again():
        shutil.rmtree(state, ignore_errors=True)
        shutil.copytree(base, state, symlinks=True)

    again()
    whole = life(state, lambda: bring(state, made.larger.digest))
    assert not whole.wrong and whole.points > 150, whole
    rng = random.Random(mode)
    for number in range(15):
        again()
        for cut in [rng.randrange(1, whole.points) for _ in range(rng.randrange(1, 4))]:
            found = life(state, lambda: bring(state, made.larger.digest), cut, mode, seed=number)
            assert not found.wrong, (mode, number, cut, found)
            assert verified(state) in {made.large.digest, made.larger.digest}, "even before recovery"
        found = life(state, lambda: bring(state, made.larger.digest))
        assert not found.wrong and verified(state) == made.larger.digest, (mode, number, found)
