"""A release that runs in devices' shadows first: a real hub, real agents, real runtimes, and requests that go on."""

import threading
from pathlib import Path

import numpy as np
import pytest

from edgewright.core.errors import EdgewrightError
from edgewright.runtime.client import Client
from edgewright.testing.agents import digits
from edgewright.testing.site import Site
from edgewright.trust import own_key

NAMES = ("press-1", "press-2")


class Camera(threading.Thread):
    """Asks a device about one image after the other, and counts the answers by who gave them."""

    def __init__(self, state, images):
        super().__init__(daemon=True)
        self.socket, self.images, self.over, self.answers = state / "run" / "edge.sock", images, threading.Event(), 0

    def run(self):
        place = 0
        while not self.over.is_set():
            try:
                with Client(self.socket) as client:
                    while not self.over.wait(0.01):
                        place = (place + 1) % len(self.images)
                        client.infer({"image": self.images[place : place + 1]}, "digits", deadline_ms=6e4)
                        self.answers += 1
            except EdgewrightError:
                self.over.wait(0.1)


@pytest.fixture
def site(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "site" / "home"))
    with Site(tmp_path / "site") as made:
        for name in NAMES:
            made.enrol(name, "line")
            with made.api() as hub:
                hub.patch(f"/devices/{name}", {"collect": {"period_s": 3600.0}})  # only what is hurried is told
            made.start(name)
        yield made


def released(site, bundle, *options):
    key = str(own_key().path).replace(".key", ".pub")
    said = site.run("release", str(bundle), "--group", "line", "--key", key, *options)
    return said.split()[1].rstrip(":")


def ended(site, rollout, *states):
    return site.wait(lambda hub: (found := hub.get(f"/rollouts/{rollout}"))["state"] in states and found)


def test_a_release_that_disagrees_in_the_shadow_is_seen_by_nobody(site, tmp_path):
    good = digits(tmp_path / "good.ewb", own_key())
    worse = digits(tmp_path / "worse.ewb", own_key(), version="2", scale=-1.0)
    first = released(site, tmp_path / "good.ewb", "--waves", "100", "--soak", "1s", "--trial", "1s")
    ended(site, first, "completed")
    images = np.load(Path(__file__).parents[2] / "examples" / "digits" / "digits.npz")["image"]
    cameras = [Camera(site.folder / name, images) for name in NAMES]
    for camera in cameras:
        camera.start()
    second = released(
        site, tmp_path / "worse.ewb", "--waves", "1d,100", "--shadow", "30m", "--soak", "2s", "--trial", "1s"
    )
    told = ended(site, second, "rolled_back", "halted", "paused", "completed")
    with site.api() as hub:
        decisions = hub.get(f"/rollouts/{second}/decisions")["items"]
        (member,) = [one for one in hub.every(f"/rollouts/{second}/members") if one["attempt"]]
        device = hub.get(f"/devices/{member['device']}")
        events = [one for one in hub.every(f"/devices/{member['device']}/events") if one["bundle"] == worse]
        runs = {one["current"] for one in hub.every("/devices")}
    for camera in cameras:
        camera.over.set()
    assert told["state"] == "rolled_back" and runs == {good}, "nobody was exposed"
    assert not any(one["kind"] in ("switching", "trial", "committed") for one in events), events
    assert (member["state"], member["failure"]) == ("failed", "bundle") and worse[:12] not in device["current"]
    assert "in shadow it disagrees with what serves" in device["reason"]
    assert decisions[0]["kind"] == "halt" and "on shadowed inputs" in decisions[0]["sentence"], decisions
    assert all(camera.answers for camera in cameras), "the line went on"


def test_a_release_that_agrees_in_the_shadow_is_judged_and_switched(site, tmp_path):
    digits(tmp_path / "good.ewb", own_key())
    twin = digits(tmp_path / "twin.ewb", own_key(), version="2", scale=1.1)
    ended(site, released(site, tmp_path / "good.ewb", "--waves", "100", "--soak", "1s", "--trial", "1s"), "completed")
    images = np.load(Path(__file__).parents[2] / "examples" / "digits" / "digits.npz")["image"]
    cameras = [Camera(site.folder / name, images) for name in NAMES]
    for camera in cameras:
        camera.start()
    second = released(
        site, tmp_path / "twin.ewb", "--waves", "100", "--shadow", "5s", "--soak", "1s", "--trial", "1s"
    )  # fmt: skip
    ended(site, second, "completed")
    with site.api() as hub:
        assert {one["current"] for one in hub.every("/devices")} == {twin}
        look = hub.get(f"/rollouts/{second}")["look"]
        (shadows,) = [one for one in look["evidence"]["findings"] if one["metric"] == "disagreement"]
    for camera in cameras:
        camera.over.set()
    assert shadows["canaries"] == len(NAMES) and shadows["shift"] == 0.0, "both told before they were switched"
