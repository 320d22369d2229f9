"""Update metadata: who signs what, what is refused, and what a device sees of it."""

import json
import threading
from dataclasses import replace
from datetime import timedelta

import pytest

from edgewright.hub import library as lib
from edgewright.hub.library.tables import Metadata
from edgewright.trust import SigningKey
from edgewright.trust.updates import (
    Release,
    begin,
    fetch_bundle,
    propose_release,
    refresh,
    review_release,
    sign_release,
)


@pytest.fixture
def device(library, tmp_path):
    """A device's own view: ``device()`` refreshes and gives what may run, by manifest."""
    folder = tmp_path / "device"

    def look(tenant="north"):
        if not folder.exists():
            begin(folder, library.metadata("1.root.json", tenant))
        return {release.bundle: release for release in refresh(folder, library.fetch(tenant), library.state.clock())}

    return look


def test_a_bundle_waits_until_the_release_key_has_signed(library, holders, make, device, tmp_path):
    north, bundle = library.hub.north, make()
    library.upload(bundle)
    library.propose("r1", bundle)
    told = north.get("/api/edge/updates")
    assert told["roles"] == {} and not told["development"]
    assert [one["digest"] for one in told["waiting"]] == [bundle.digest]
    assert "edgewright rollout keys" in told["todo"][0]
    assert library.metadata("timestamp.json") is None and not library.signed(bundle)
    holders.put('{"signed": {}}', 409)
    north.ask("GET", "/api/edge/updates/root", 404)

    outcome = holders.begin()
    assert outcome == {"development": False, "missing": 0, "released": [bundle.digest], "withdrawn": []}
    assert library.signed(bundle) and north.get(f"/api/edge/bundles/{bundle.digest}")["released"]
    release = device()[bundle.digest]
    assert (release.sha256, release.signer, release.release) == (bundle.file, bundle.key.public.raw.hex(), "r1")
    file = lib.open_file(library.state, library.hub.tenants["north"], release.sha256)
    fetch_bundle(release, tmp_path / "bundle.ewb", file.read)
    assert (tmp_path / "bundle.ewb").read_bytes() == bundle.data
    assert north.ask("GET", "/api/edge/updates/root", 200).content == library.metadata("1.root.json")
    told = north.get("/api/edge/updates")
    assert told["todo"] == told["waiting"] == [] and set(told["roles"]) == {"root", "targets", "snapshot", "timestamp"}
    assert told["roles"]["root"]["threshold"] == 2 and told["roles"]["root"]["version"] == 1
    actions = [one["action"] for one in north.get("/api/edge/audit")["items"]]
    assert "updates.root" in actions


def test_several_rollouts_wait_together_and_any_part_of_them_is_signed(library, holders, make, device):
    first, second, third = (make(f"1.0.{i}") for i in range(3))
    for one in (first, second, third):
        library.upload(one)
    holders.begin()
    library.propose("r1", first)
    early = holders.sign(holders.proposal()["targets"])
    library.propose("r2", second, third)
    proposal = holders.proposal()
    review = review_release(proposal["targets"].encode(), proposal["published"].encode(), [holders.releases[0].public])
    assert {one.bundle for one in review.added} == {first.digest, second.digest, third.digest}
    assert holders.put(early)["released"] == [first.digest]
    assert [library.signed(one) for one in (first, second, third)] == [True, False, False]
    assert set(device()) == {first.digest}
    waiting = library.hub.north.get("/api/edge/updates")
    assert {one["digest"]: one["release"] for one in waiting["waiting"]} == {second.digest: "r2", third.digest: "r2"}
    assert "edgewright rollout sign" in waiting["todo"][0]
    assert set(holders.put(holders.sign(holders.proposal()["targets"]))["released"]) == {second.digest, third.digest}
    assert set(device()) == {first.digest, second.digest, third.digest}
    # What is released already waits for nothing in a second rollout.
    library.propose("r3", first)
    assert library.hub.north.get("/api/edge/updates")["waiting"] == []


def test_older_signed_targets_do_not_come_back(library, holders, make, device):
    first, second = make(), make("1.0.1")
    library.upload(first)
    library.upload(second)
    holders.begin()
    library.propose("r1", first)
    old = holders.sign(holders.proposal()["targets"])
    holders.put(old)
    other = holders.sign(holders.proposal()["targets"])  # proposed before the second one
    library.propose("r2", second)
    holders.put(holders.sign(holders.proposal()["targets"]))
    timestamp = library.metadata("timestamp.json")
    for replayed in (old, other):
        assert "version" in holders.put(replayed, 422)["detail"]
    assert library.metadata("timestamp.json") == timestamp and set(device()) == {first.digest, second.digest}
    # The very document that is published may come twice.
    assert holders.put(library.metadata("3.targets.json").decode())["released"] == []


def test_what_names_an_unknown_bundle_is_refused(library, holders, make):
    bundle = make()
    library.upload(bundle)
    library.upload(make("1.0.1"), who=library.hub.south)
    holders.begin()
    theirs = make("1.0.1")
    signer = bundle.key.public.raw.hex()
    facts = {"release": "r1", "name": "classifier", "version": "1.0.0", "bundle": bundle.digest, "signer": signer}
    for wrong in (
        {"sha256": "ab" * 32, "bundle": "cd" * 32},
        {"sha256": theirs.file, "bundle": theirs.digest, "version": "1.0.1"},
        {"sha256": theirs.file}, {"length": 5}, {"signer": "ab" * 32}, {"version": "1.0.9"}, {"hardware": ("pi4",)},
        {"bundle": ""},
    ):  # fmt: skip
        release = Release(**{"sha256": bundle.file, "length": len(bundle.data), **facts, **wrong})
        proposed = propose_release(library.metadata("1.targets.json"), holders.now, [release])
        holders.put(holders.sign(proposed), 422)
    assert not library.signed(bundle)
    right = Release(bundle.file, len(bundle.data), **facts)
    holders.put(holders.sign(propose_release(library.metadata("1.targets.json"), holders.now, [right])))
    assert library.signed(bundle)


def test_nothing_a_rollout_needs_is_withdrawn(library, holders, make, device):
    bundle, north = make(), library.hub.north
    library.upload(bundle)
    library.propose("r1", bundle)
    holders.begin()
    without = holders.sign(propose_release(library.metadata("1.targets.json"), holders.now, (), [bundle.file]))
    assert bundle.digest in holders.put(without, 409)["detail"]
    assert "rollout" in north.ask("DELETE", f"/api/edge/bundles/{bundle.digest}", 409).json()["detail"]
    with library.state.database.write(library.hub.tenants["north"]) as session:
        lib.let_go(session, "r1")
    assert "key-holder" in north.ask("DELETE", f"/api/edge/bundles/{bundle.digest}", 409).json()["detail"]
    assert holders.put(without)["withdrawn"] == [bundle.digest]
    assert device() == {} and not library.signed(bundle)
    north.ask("DELETE", f"/api/edge/bundles/{bundle.digest}", 204)


def test_what_a_rollout_gave_up_is_proposed_no_more(library, holders, make):
    first, second = make(), make("1.0.1")
    library.upload(first)
    library.upload(second)
    holders.begin()
    library.propose("r1", first, second)
    library.propose("r2", second)
    with library.state.database.write(library.hub.tenants["north"]) as session:
        lib.let_go(session, "r1")
    assert [one["digest"] for one in library.hub.north.get("/api/edge/updates")["waiting"]] == [second.digest]


def test_another_key_signs_nothing(library, holders, make):
    library.upload(make())
    holders.begin()
    library.propose("r1", make())
    targets = holders.proposal()["targets"]
    for keys in ([SigningKey.generate()], [holders.roots[0]]):
        assert "no release key" in holders.put(holders.sign(targets, keys), 422)["detail"]
    holders.put(targets, 422)
    changed = json.loads(holders.sign(targets))
    changed["signed"]["version"] += 5
    holders.put(json.dumps(changed), 422)
    for nonsense in ("{}", "[]", "{" * 5000, '{"signed": {"_type": "root"}, "signatures": []}', "\0\0"):
        holders.put(nonsense, 422)
    assert not library.signed(make())


def test_two_release_keys_sign_one_after_the_other(library, make):
    holders = library.holders(threshold=2, releases=3)
    library.upload(make())
    library.upload(make("1.0.1"))
    holders.begin()
    library.propose("r1", make())
    one, two, three = holders.releases
    targets = holders.proposal()["targets"]
    assert holders.proposal()["missing"] == 2
    assert holders.put(holders.sign(targets, [one]))["missing"] == 1
    assert not library.signed(make())
    proposal = holders.proposal()
    assert proposal["missing"] == 1 and json.loads(proposal["targets"])["signed"] == json.loads(targets)["signed"]
    # Signatures that do not hold are not kept beside those that do, and another proposal does not take its place.
    library.hub.state.clock.go_on(minutes=1)
    other = propose_release(library.metadata("1.targets.json"), holders.now)
    assert "another key-holder" in holders.put(holders.sign(other, [two]), 409)["detail"]
    spoiled = json.loads(holders.sign(targets, [two]))
    spoiled["signatures"][0]["sig"] = "00" * 64
    holders.put(json.dumps(spoiled), 422)
    # The second one signs what the first did not see signed: their signatures are put together.
    assert holders.put(holders.sign(targets, [three]))["missing"] == 0
    assert library.signed(make())
    # A proposal that grew is begun anew.
    library.propose("r2", make("1.0.1"))
    assert holders.proposal()["missing"] == 2


def test_a_root_is_rotated_by_those_who_hold_it(library, holders, make, device):
    library.upload(make())
    library.propose("r1", make())
    holders.begin()
    assert set(device()) == {make().digest}
    first = library.metadata("1.root.json")
    before = holders.releases
    holders.releases = [SigningKey.generate() for _ in range(2)]
    strangers = [SigningKey.generate() for _ in range(2)]
    north = library.hub.north
    targets = propose_release(library.metadata("1.targets.json"), holders.now)
    for root, signed in (
        (holders.root(first, strangers), holders.sign(targets)),
        (holders.root(first, holders.roots[:1]), holders.sign(targets)),
        (holders.root(first), None), (holders.root(first), holders.sign(targets, before[:1])), (first.decode(), "{}"),
    ):  # fmt: skip
        north.ask("PUT", "/api/edge/updates/root", 422, json={"root": root, "targets": signed})
    body = {"root": holders.root(first), "targets": holders.sign(targets)}
    assert north.ask("PUT", "/api/edge/updates/root", 200, json=body).json()["released"] == []
    assert north.get("/api/edge/updates")["roles"]["root"]["version"] == 2
    assert set(device()) == {make().digest} and library.metadata("1.root.json") == first
    lost = holders.sign(propose_release(library.metadata("2.targets.json"), holders.now), before[:1])
    holders.put(lost, 422)
    north.ask("PUT", "/api/edge/updates/root", 422, json=body | {"root": first.decode()})
    library.hub.user("releaser", "releaser").ask("PUT", "/api/edge/updates/root", 403, json=body)


def test_a_first_root_needs_targets_and_the_hubs_key(library, holders):
    north = library.hub.north
    north.ask("PUT", "/api/edge/updates/root", 422, json={"root": holders.root()})
    other = holders.keys
    stranger = SigningKey.generate().public
    holders.keys = lambda: replace(other(), snapshot=stranger, timestamp=stranger)
    body = {"root": holders.root(), "targets": holders.sign(holders.proposal()["targets"])}
    assert "key" in north.ask("PUT", "/api/edge/updates/root", 422, json=body).json()["detail"]


def test_a_development_tenant_releases_at_once_and_says_so(library, make, device):
    library.develop()
    north, bundle = library.hub.north, make()
    library.upload(bundle)
    assert north.get("/api/edge/updates") | {"online": ""} == {
        "development": True, "roles": {}, "online": "", "waiting": [], "todo": [],
    }  # fmt: skip
    library.propose("r1", bundle)
    assert library.signed(bundle) and set(device()) == {bundle.digest}
    assert north.get("/api/edge/updates")["development"] and north.get("/api/edge/updates/proposal")["development"]
    folder = library.state.folder / "keys" / f"development-{library.hub.tenants['north']}"
    assert all(path.stat().st_mode & 0o077 == 0 for path in (folder, *folder.glob("*.key")))
    with library.state.database.write(library.hub.tenants["north"]) as session:
        lib.let_go(session, "r1")
    north.ask("DELETE", f"/api/edge/bundles/{bundle.digest}", 204)
    assert device() == {}
    assert not library.metadata("timestamp.json", "south")


def test_who_was_a_development_tenant_is_told_apart(library, make):
    """Devices that trust a key of the hub's own are told of as such until the root names another."""
    library.develop()
    library.upload(make())
    library.upload(make("1.0.1"))
    library.propose("r1", make())
    library.develop(so=False)
    library.propose("r2", make("1.0.1"))
    assert not library.signed(make("1.0.1"))
    told = library.hub.north.get("/api/edge/updates")
    assert told["development"] and "that this hub made" in told["todo"][0]


def test_a_key_holders_tenant_that_becomes_a_development_tenant_is_still_the_key_holders(library, holders, make):
    library.upload(make())
    holders.begin()
    library.develop()
    library.propose("r1", make())
    assert not library.signed(make())
    assert holders.put(holders.sign(holders.proposal()["targets"]))["released"] == [make().digest]


def test_metadata_is_each_tenants_own(library, make, holders):
    library.develop()
    library.upload(make())
    library.propose("r1", make())
    for name in ("timestamp.json", "1.root.json", "../timestamp.json", "timestamp.json\0", "x" * 999, ""):
        assert library.metadata(name, "south") is None
    south = library.hub.south
    assert south.get("/api/edge/updates")["roles"] == {}
    # Another tenant's signed targets are worth nothing here.
    targets = library.metadata("2.targets.json").decode()
    south.ask("PUT", "/api/edge/updates/targets", 409, json={"targets": targets})
    library.develop("south")
    library.upload(make("1.0.1"), who=south)
    library.propose("r1", make("1.0.1"), name="south")
    south.ask("PUT", "/api/edge/updates/targets", 422, json={"targets": targets})


def test_renewal_keeps_devices_fresh_and_old_files_for_a_while(library, make, device, clock):
    library.develop()
    library.upload(make())
    library.propose("r1", make())
    device()
    for _ in range(12):
        clock.go_on(hours=23)
        before = library.metadata("timestamp.json")
        lib.renew(library.state, clock())
        lib.renew(library.state, clock())
        assert set(device()) == {make().digest}
    after = library.metadata("timestamp.json")
    assert after != before
    lib.renew(library.state, clock())
    assert library.metadata("timestamp.json") == after
    clock.go_on(days=4)
    lib.renew(library.state, clock())
    lib.renew(library.state, clock())
    with library.state.database.read(library.hub.tenants["north"]) as session:
        rows = session.query(Metadata).all()
        kept = [row for row in rows if row.until is not None]
    assert all(row.until >= clock() for row in kept) and len(rows) < 8
    snapshots = [row.name for row in kept if row.role == "snapshot"]
    assert all(library.metadata(name) for name in snapshots)
    clock.go_on(days=700)
    lib.renew(library.state, clock())
    roles = library.hub.log_in_again("north").get("/api/edge/updates")["roles"]
    assert roles["root"]["version"] == 2 and not any(role["due"] for role in roles.values())


def test_a_person_is_asked_to_renew_what_only_a_person_can(library, holders, make, clock, caplog):
    holders.begin()
    clock.go_on(days=300)
    library.hub.north = holders.who = library.hub.log_in_again("north")
    lib.renew(library.state, clock())
    told = library.hub.north.get("/api/edge/updates")
    assert len(told["todo"]) == 1 and "targets" in told["todo"][0]
    holders.put(holders.sign(holders.proposal()["targets"]))
    assert library.hub.north.get("/api/edge/updates")["todo"] == []
    clock.go_on(days=370)
    for _ in range(3):
        lib.renew(library.state, clock())
    assert len([line for line in caplog.records if "cannot be renewed" in line.message]) == 1


def test_a_hub_that_lost_its_key_says_so(library, holders):
    holders.begin()
    (library.state.folder / "keys" / "online.key").unlink()
    library.state._parts.pop("library.online")
    told = library.hub.north.get("/api/edge/updates")
    assert "online key" in told["todo"][0]


def test_one_at_a_time_publishes(library, make):
    """Many rollouts propose at once in a development tenant: every one is in the end, versions in a row."""
    library.develop()
    found = [make(f"1.0.{i}") for i in range(4)]
    for one in found:
        library.upload(one)
    failed = []

    def go(number):
        try:
            library.propose(f"r{number}", found[number])
        except Exception as error:  # noqa: BLE001 - told below
            failed.append(error)

    threads = [threading.Thread(target=go, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == [] and all(map(library.signed, found))
    assert library.metadata("5.targets.json") and not library.metadata("6.targets.json")


def test_a_device_in_the_middle_of_a_refresh_finds_what_it_was_told_of(library, make, device, clock):
    library.develop()
    first, second = make(), make("1.0.1")
    library.upload(first)
    library.upload(second)
    library.propose("r1", first)
    device()
    timestamp = library.metadata("timestamp.json")
    library.propose("r2", second)
    seen = dict.fromkeys(["timestamp.json"], timestamp)
    real = library.fetch()
    library.fetch = lambda tenant: lambda name, limit: seen.get(name) or real(name, limit)
    assert set(device()) == {first.digest}
    clock.go_on(seconds=1)
    seen.clear()
    assert set(device()) == {first.digest, second.digest}


def test_a_proposal_lasts_no_longer_than_its_signers_may_wait(library, make, clock):
    holders = library.holders(threshold=2)
    library.upload(make())
    holders.begin()
    library.propose("r1", make())
    holders.put(holders.sign(holders.proposal()["targets"], holders.releases[:1]))
    clock.go_on(days=21)
    holders.who = library.hub.log_in_again("north")
    assert holders.proposal()["missing"] == 2
    assert sign_release(holders.proposal()["targets"].encode(), holders.releases[0], clock() + timedelta(days=1))
