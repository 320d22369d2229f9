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


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Two devices that serve the good bundle, with requests going on; each with a budget of one telling an hour."""
    folder = tmp_path_factory.mktemp("shadowed")
    with pytest.MonkeyPatch.context() as patch, Site(folder / "site") as made:
        patch.setenv("XDG_CONFIG_HOME", made.settings["XDG_CONFIG_HOME"])
        for name in NAMES:
            made.enrol(name, "line")
            with made.api() as hub:
                hub.patch(f"/devices/{name}", {"collect": {"period_s": 3600.0}})  # only what is hurried is told
            made.start(name)
        digits(folder / "good.ewb", own_key())
        first = released(made, folder / "good.ewb", "--waves", "100", "--soak", "1s", "--trial", "1s")
        ended(made, first, "completed")
        images = np.load(Path(__file__).parents[2] / "examples" / "digits" / "digits.npz")["image"]
        cameras = [Camera(made.folder / name, images) for name in NAMES]
        for camera in cameras:
            camera.start()
        yield made
        for camera in cameras:
            camera.over.set()
        assert all(camera.answers for camera in cameras), "the line went on"


@pytest.fixture(autouse=True)
def keys(site, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", site.settings["XDG_CONFIG_HOME"])


def runs(site):
    with site.api() as hub:
        return {one["current"] for one in hub.every("/devices")}


def released(site, bundle, *options):
    key = str(own_key().path).replace(".key", ".pub")
    said = site.run("release", str(bundle), "--group", "line", "--key", key, *options)
    return said.split()[1].rstrip(":")


def ended(site, rollout, *states):
    return site.wait(lambda hub: (found := hub.get(f"/rollouts/{rollout}"))["state"] in states and found)


def test_a_release_that_disagrees_in_the_shadow_is_seen_by_nobody(site, tmp_path):
    before, worse = runs(site), digits(tmp_path / "worse.ewb", own_key(), version="3", scale=-1.0)
    second = released(
        site, tmp_path / "worse.ewb", "--waves", "1d,100", "--shadow", "30m", "--soak", "1s", "--trial", "1s"
    )  # fmt: skip
    told = ended(site, second, "rolled_back", "halted", "paused", "completed")
    with site.api() as hub:
        decisions = hub.get(f"/rollouts/{second}/decisions")["items"]
        (member,) = [one for one in hub.every(f"/rollouts/{second}/members") if one["attempt"]]
        device = hub.get(f"/devices/{member['device']}")
        events = [one["kind"] for one in hub.every(f"/devices/{member['device']}/events") if one["bundle"] == worse]
    assert told["state"] == "rolled_back" and runs(site) == before, "nobody was exposed"
    assert "shadowing" in events and not {"switching", "trial", "committed"} & set(events)
    assert (member["state"], member["failure"]) == ("failed", "bundle")
    assert "in shadow it disagrees with what serves" in device["reason"]
    assert decisions[0]["kind"] == "halt" and "on shadowed inputs" in decisions[0]["sentence"], decisions


def test_a_release_that_agrees_in_the_shadow_is_judged_and_switched(site, tmp_path):
    twin = digits(tmp_path / "twin.ewb", own_key(), version="2", scale=1.1)
    second = released(
        site, tmp_path / "twin.ewb", "--waves", "100", "--shadow", "5s", "--soak", "1s", "--trial", "1s"
    )  # fmt: skip
    ended(site, second, "completed")
    assert runs(site) == {twin}
    with site.api() as hub:
        findings = hub.get(f"/rollouts/{second}")["look"]["evidence"]["findings"]
    (shadows,) = [one for one in findings if one["metric"] == "disagreement"]
    assert shadows["canaries"] == len(NAMES) and shadows["shift"] == 0.0, "both told before they were switched"
