"""A hub and agents as a user has them: programs, the command line, keys that the hub never sees."""

import json

import pytest

from edgewright import bundles
from edgewright.core.errors import EdgewrightError
from edgewright.testing.agents import multiplier
from edgewright.testing.site import Site
from edgewright.trust import SigningKey


@pytest.fixture
def key():
    return SigningKey.generate()


@pytest.fixture
def site(tmp_path_factory):
    with Site(tmp_path_factory.mktemp("s"), development=False) as made:
        yield made


def bundle(site, key, factor):
    path = site.folder / f"m{factor}.ewb"
    return path, multiplier(path, key, factor, version=str(factor))


def released(site, key, path, *options):
    public = site.folder / "signer.pub"
    public.write_text(key.public.text())
    said = site.run("release", str(path), "--key", str(public), "--soak", "1s", "--trial", "1s", *options)
    return said.split()[1].rstrip(":"), said


def running(site):
    with site.api() as hub:
        return {one["name"]: one["current"] for one in hub.every("/devices")}


def test_from_keys_to_devices_and_back(site, key):
    """Nothing runs before the key-holder signed it; then it does, and the one before it again when it is told to."""
    site.enrol("d-1", "line")
    site.start("d-1")
    first, one = bundle(site, key, 2)
    assert "root: 1 of 1" in site.run("rollout", "keys", "--yes")
    rollout, said = released(site, key, first, "--waves", "100")
    assert f"edgewright rollout sign {rollout}" in said
    with site.api() as hub:
        assert hub.get(f"/rollouts/{rollout}")["state"] in ("draft", "approval", "awaiting_signature")
        assert hub.get("/devices/d-1")["wanted"] == ""
    with pytest.raises(EdgewrightError, match="--yes"):
        site.run("rollout", "sign", rollout)
    assert "may run: m 2" in site.run("rollout", "sign", rollout, "--yes")
    site.wait(lambda hub: hub.get(f"/rollouts/{rollout}")["state"] == "completed")
    assert running(site) == {"d-1": one}
    assert "completed" in site.run("rollout", "show", rollout)

    second, two = bundle(site, key, 3)
    later, _ = released(site, key, second, "--waves", "100")
    site.run("rollout", "sign", later, "--yes")
    site.wait(lambda hub: hub.get("/devices/d-1")["current"] == two)
    site.run("rollout", "abort", later, "--mode", "revert exposed")
    site.wait(lambda hub: hub.get("/devices/d-1")["current"] == one)
    site.wait(lambda hub: hub.get(f"/rollouts/{later}")["state"] == "rolled_back")

    assert "d-1" in site.run("devices") and f"m 2 ({one[:12]})" in site.run("devices")
    shown = site.run("device", "show", "d-1")
    assert shown.startswith("d-1: online") and f"m 2 ({one[:12]})" in shown and "rolled_back" in shown
    whole = json.loads(site.run("device", "show", "d-1", "--json"))
    assert whole["current"] == one and whole["health"]["level"] and whole["events"]
    log = site.folder / "audit.ndjson"
    site.run("audit", "export", str(log))
    actions = [json.loads(line)["action"] for line in log.read_text().splitlines()]
    assert {"device.enrolled", "updates.root", "updates.targets"} <= set(actions)
    verified = ["audit", "verify", str(log), "--heads", f"{log}.heads", "--key", f"{log}.heads/hub.pub"]
    assert "whole" in site.run(*verified)
    log.write_text(log.read_text().replace("device.enrolled", "device.enroled"))
    with pytest.raises(EdgewrightError, match="ended with 1"):
        site.run(*verified)
    site.run("device", "log", "d-1", "-o", str(site.folder / "log.txt"))
    assert (site.folder / "log.txt").stat().st_size

    site.run("device", "revoke", "d-1", "--yes")
    site.wait(lambda hub: hub.get("/devices/d-1")["revoked"])
    assert site.run("device", "show", "d-1").startswith("d-1: revoked")
    agent = site.agents["d-1"].process
    for _ in range(2000):  # signals that come while one is being heard
        agent.terminate()
    assert agent.wait(60) == 0
    assert bundles.verify(first, [key.public]).digest == one
