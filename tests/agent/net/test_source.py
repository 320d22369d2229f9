"""Updates from the hub: the way to the commit, and what the network does to it."""

from datetime import timedelta

import pytest

from edgewright.core.messages import Desired, Release
from edgewright.testing.faults import cutting, ignoring_ranges, refusing
from edgewright.trust import SigningKey

NAME = "press-1"


def test_from_the_offer_to_the_commit(hub, one, offer, key):
    wanted = offer("a")
    now = one.until("idle")
    assert (now.result, now.good) == ("committed", wanted.digest)
    assert one.witness.served[-1] == wanted.digest
    trusted = [path.read_text() for path in (one.state / "keys").iterdir()]
    assert trusted == [key.public.text()], "trusted because signed metadata names it"


def test_a_delta_where_there_is_one(hub, one, offer, made):
    offer("large")
    one.until("idle")
    before = hub.served
    wanted = offer("larger", "r2", old=["large"])
    assert one.until("idle").good == wanted.digest
    assert hub.served - before < 0.3 * wanted.target.length
    assert any("/files/" in asked for asked in hub.asked)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda hub: hub.recipes.clear(),
        lambda hub: hub.recipes.update({pair: data[:-20] for pair, data in hub.recipes.items()}),
        lambda hub: hub.recipes.update(dict.fromkeys(hub.recipes, b"nonsense")),
        lambda hub: hub.files.update({digest: bytes(len(data)) for digest, data in hub.files.items()}),
        lambda hub: hub.files.clear(),
        lambda hub: hub.faults.append(refusing("/deltas/", 500, -1)),
    ],
)  # fmt: skip
def test_a_delta_that_leads_nowhere(hub, one, offer, made, spoil):
    offer("large")
    one.until("idle")
    wanted = offer("larger", "r2", old=["large"])
    spoil(hub)
    for _ in range(60):
        one.turn()
        if one.machine.now.state == "idle" and one.machine.now.result:
            break
    if one.machine.now.good != wanted.digest:  # a hub that fails for good ends the attempt, and nothing else
        assert one.machine.now.failure == "network" and not one.machine.now.bad
        hub.faults.clear()
        offer("larger", "r2", attempt=2)
        one.until("idle")
    assert one.machine.now.good == wanted.digest and not one.machine.now.bad


def test_a_damaged_base_is_no_obstacle(hub, one, offer, made):
    offer("large")
    one.until("idle")
    found = list(one.slots.model(made.large.digest).rglob("*.onnx"))
    for path in found:
        path.write_bytes(bytes(path.stat().st_size))
    wanted = offer("larger", "r2", old=["large"])
    for _ in range(60):
        one.turn()
        if one.machine.now.state == "waiting":
            break
    assert found and one.machine.now.update.bundle == wanted.digest and not one.machine.now.bad, one.machine.now


def test_downloads_that_are_cut_off_go_on_where_they_were(hub, one, offer, monkeypatch):
    monkeypatch.setattr("edgewright.trust.updates.download.PIECE_BYTES", 4096)
    wanted = offer("a")
    hub.faults += [cutting("/bundles/", 9000)]
    assert one.until("idle").result == "committed"
    assert sum("/bundles/" in asked for asked in hub.asked) == 2
    assert hub.served <= 2 * wanted.target.length - 8192, "the second time from there on"


@pytest.mark.parametrize("first", [None, cutting("/bundles/", 9000)])
def test_ranges_that_are_ignored(hub, one, offer, monkeypatch, first):
    monkeypatch.setattr("edgewright.trust.updates.download.PIECE_BYTES", 4096)
    offer("a")
    hub.faults += [ignoring_ranges, *([first] if first else [])]
    assert one.until("idle").result == "committed"


def spoiled(change):
    def fault(exchange):
        if "/bundles/" not in exchange.path:
            return False
        hub = exchange.server.hub
        digest = exchange.path.rpartition("/")[2]
        change(exchange, hub.blobs[digest], digest)
        return True

    return fault


WRONG = {
    "another length": lambda e, data, digest: e.send(200, data + b"x"),
    "another file": lambda e, data, digest: e.send(200, data, ETag='"0"'),
    "another range": lambda e, data, digest: e.send(206, data[1:], Content_Range=f"bytes 1-{len(data)}/{len(data)}"),
    "no range": lambda e, data, digest: e.send(206, data),
    "flipped bits": lambda e, data, digest: e.send(200, bytes([data[0] ^ 1]) + data[1:]),
    "nothing": lambda e, data, digest: e.send(204),
    "a redirect": lambda e, data, digest: e.send(302, Location="https://example.invalid/"),
    "no such file": lambda e, data, digest: e.refuse(404, "gone"),
    "a fault": lambda e, data, digest: e.refuse(500, "oops"),
}  # fmt: skip


@pytest.mark.parametrize("what", WRONG)
def test_downloads_that_are_wrong_for_ever_end_the_attempt_alone(hub, one, offer, what):
    wanted = offer("a")
    hub.faults.append(spoiled(WRONG[what]))
    now = one.until("idle", turns=40)
    assert (now.result, now.failure, dict(now.bad), now.good) == ("abandoned", "network", {}, ""), now
    assert one.status().failure == "network" and one.status().attempt == 1
    hub.faults.clear()
    one.turn()
    assert one.machine.now.state == "idle", "nothing more for this attempt"
    offer("a", attempt=2)
    assert one.until("idle").good == wanted.digest


def test_a_busy_hub_is_waited_for(hub, one, offer):
    offer("a")
    hub.faults.append(refusing("/bundles/", 503, 30, Retry_After="9"))
    waits = [one.turn() for _ in range(30)]
    assert one.machine.now.state == "fetching" and max(waits) >= 9.0
    assert one.until("idle").result == "committed"


def test_without_a_network_nothing_ends(hub, one, offer):
    offer("a")
    while one.machine.now.state != "fetching":
        one.turn()
    url, one.line.enrolment = one.line.enrolment, one.line.enrolment.__class__("https://127.0.0.1:1", "acme", NAME)
    for _ in range(50):
        one.act()
    assert one.machine.now.state == "fetching"
    one.line.enrolment = url
    assert one.until("idle").result == "committed"


def test_what_was_not_released_does_not_run(hub, one, made, key):
    """The hub alone cannot make a device run a bundle."""
    hub.blobs["f" * 64] = made.a.path.read_bytes()
    hub.want(NAME, Desired(0, Release("r1", made.a.digest, activate=True)))
    now = one.until("idle", turns=40)
    assert (now.result, now.failure, now.good) == ("abandoned", "network", "") and "not released" in now.reason
    assert not list((one.state / "keys").glob("*")) if (one.state / "keys").exists() else True


@pytest.mark.parametrize("what", ["replayed", "flipped", "garbage", "missing"])
def test_metadata_that_lies_does_not_speak_against_the_bundle(hub, one, offer, what):
    offer("a")
    one.until("idle")
    old = hub.office.files["timestamp.json"]
    hub.office.wait(hours=1)
    wanted = offer("b", "r2")
    newest = hub.office.files["timestamp.json"]
    one.source.metadata(one.machine.now)  # it has seen the newest
    lies = {"replayed": old, "flipped": newest.replace(b'"version"', b'"versiom"'), "garbage": b"{" * 100}
    if what == "missing":
        del hub.office.files["timestamp.json"]
    else:
        hub.office.files["timestamp.json"] = lies[what]
    now = one.until("idle", turns=40)
    assert (now.result, now.failure, dict(now.bad)) == ("abandoned", "network", {}), now
    hub.office.files["timestamp.json"] = newest
    offer("b", "r2", attempt=2)
    assert one.until("idle").good == wanted.digest


def test_after_60_days_off(hub, devices, offer):
    """The old metadata has expired; the hub's new one has not."""
    offer("a")
    one = devices()
    one.until("idle")
    for when in (hub, hub.office):
        when.now += timedelta(days=60)
    hub.office.publish()
    hub.serve()
    one = devices(clock=lambda: hub.now.timestamp())
    wanted = offer("b", "r2")
    assert one.until("idle").good == wanted.digest


def test_other_hardware(hub, one, offer):
    wanted = offer("a", hardware=("jetson",))
    now = one.until("idle")
    assert now.result == "abandoned" and wanted.digest in now.bad and "jetson" in now.reason
    assert one.status().failure == "bundle"


def test_a_bundle_of_a_key_that_the_metadata_does_not_name(hub, one, made, key):
    """Released, but the metadata names another signer: it must not verify."""
    stranger = SigningKey.generate().public
    made_release = hub.release(made.a.path, key.public)
    repository = hub.office.repository
    from dataclasses import replace

    from edgewright.trust.updates import propose_release

    other = replace(made_release, signer=stranger.raw.hex())
    hub.office.publish(targets=hub.office.signed(propose_release(repository.targets, hub.office.now, [other])))
    hub.want(NAME, Desired(0, Release("r1", made.a.digest, activate=True, trial_s=0.0)))
    now = one.until("idle")
    assert now.result == "abandoned" and made.a.digest in now.bad and one.slots.current == ""


def test_staged_first_activated_later(hub, one, offer):
    offer("a", activate=False)
    for _ in range(20):
        one.turn()
    assert one.machine.now.state == "waiting" and one.slots.current == ""
    asked = len(hub.asked)
    wanted = offer("a", activate=True)
    assert one.until("idle").good == wanted.digest
    assert not any("/bundles/" in one for one in hub.asked[asked:]), "nothing is fetched for the switch"


def test_taken_back_before_the_switch(hub, one, offer):
    offer("a", activate=False)
    for _ in range(20):
        one.turn()
    hub.want(NAME, Desired(0))
    now = one.until("idle")
    assert (now.result, dict(now.bad)) == ("abandoned", {}) and not list((one.state / "incoming").iterdir())


def test_taken_back_in_the_middle_of_a_download(hub, one, offer):
    offer("a")
    while one.machine.now.state != "fetching":
        one.turn()
    one.stop = lambda: True
    assert one.act() == 0.0 and one.machine.now.state == "fetching", "it comes back at once, for who decides"
    hub.want(NAME, Desired(0))
    assert one.until("idle").result == "abandoned"


def test_back_to_the_one_before_without_a_download(hub, one, offer, made):
    offer("a")
    one.until("idle")
    offer("b", "r2")
    one.until("idle")
    asked = len(hub.asked)
    offer("a", "r2", attempt=2)
    now = one.until("idle")
    assert now.good == made.a.digest and not now.bad, "the hub may come back to it"
    assert all("sync" in asked for asked in hub.asked[asked:])
    assert (one.status().rollout, one.status().attempt, one.status().result) == ("r2", 2, "committed")
    offer("b", "r3")
    assert one.until("idle").good == made.b.digest


def test_back_to_nothing(hub, one, offer):
    offer("a")
    one.until("idle")
    hub.want(NAME, Desired(0, Release("r2", "", activate=True)))
    now = one.until("idle")
    assert (now.good, now.before, one.slots.current, one.witness.served) == ("", "", "", [])
    assert not list((one.state / "slots").iterdir()) and not one.status().current


def test_the_commit_waits_for_a_sync_after_the_switch(hub, one, offer):
    offer("a")
    while one.machine.now.state != "trial":
        one.turn()
    for _ in range(20):
        assert one.act() > 0 and one.machine.now.state == "trial"
    assert one.until("idle").result == "committed"


def test_an_agent_that_starts_offline_knows_what_is_wanted(hub, devices, offer):
    offer("a", activate=False)
    one = devices()
    for _ in range(20):
        one.turn()
    wanted = offer("a", activate=True)
    one.link.poll()
    one = devices()
    hub.faults.append(refusing("", 503, -1))
    for _ in range(20):
        one.act()
    assert one.machine.now.state == "trial" and one.slots.current == wanted.digest


def test_a_window_of_the_device(hub, one, offer):
    offer("a", window="02:00-04:00")
    one.source._local = lambda: 3600.0
    for _ in range(20):
        one.turn()
    assert one.machine.now.state == "waiting"
    one.source._local = lambda: 7200.0
    assert one.until("idle").result == "committed"


def test_what_failed_here_is_answered_at_once(hub, one, offer):
    wanted = offer("a", hardware=("jetson",))
    one.until("idle")
    asked = len(hub.asked)
    offer("a", "r7", attempt=3)
    one.until("idle")
    told = one.status()
    assert (told.rollout, told.attempt, told.target, told.failure) == ("r7", 3, wanted.digest, "bundle")
    assert all("sync" in asked for asked in hub.asked[asked:])
