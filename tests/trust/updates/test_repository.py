"""Who signs what, what they are shown, and what the hub publishes."""

import json
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tuf.api.metadata import DelegatedRole, Delegations, Key, Metadata, TargetFile, Targets

from edgewright.core.errors import InputError, TrustError
from edgewright.testing.updates import START, Office
from edgewright.trust import SigningKey
from edgewright.trust.updates import (
    Keys,
    OnlineKeys,
    Release,
    RoleKeys,
    missing_signatures,
    propose_release,
    propose_root,
    publish,
    review_release,
    review_root,
    sign_release,
    sign_root,
)
from edgewright.trust.updates.metadata import SIGNED_AT, encode, parse

DAY = timedelta(days=1)
KEY, OTHER = SigningKey.generate(), SigningKey.generate()


def bundle(number, **facts):
    return Release(**{"sha256": f"{number:064x}", "length": 5_000_000, "release": f"r{number}", "name": "digits",
                      "version": f"1.{number}", "hardware": ("pi4", "jetson"), **facts})  # fmt: skip


# The key-holder's machine.


def test_what_is_signed_is_shown():
    first = sign_release(propose_release(None, START, [bundle(1), bundle(2)]), KEY, START)
    second = propose_release(first, START, [bundle(3)], [bundle(1).sha256])
    review = review_release(second, first, [KEY.public])
    assert (review.added, review.removed, review.kept, review.version, review.against) == (
        (bundle(3),), (bundle(1),), 1, 2, 1,
    )  # fmt: skip
    text = review.text()
    assert text.splitlines() == [
        "targets version 2, valid until 2027-11-21; changes since version 1",
        f"  may run: digits 1.3 (release r3, pi4, jetson), 5,000,000 bytes, sha256 {3:064x}",
        f"  may no longer run: digits 1.1 (release r1, pi4, jetson), 5,000,000 bytes, sha256 {1:064x}",
        "  unchanged: 1",
    ]


def test_changed_facts_are_shown_as_what_they_are():
    first = sign_release(propose_release(None, START, [bundle(1)]), KEY, START)
    review = review_release(propose_release(first, START, [bundle(1, hardware=())]), first, [KEY.public])
    assert review.added == (bundle(1, hardware=()),) and review.kept == 0
    assert "any hardware" in review.text()


def test_what_somebody_else_signed_is_no_ground_to_compare_with():
    hubs_claim = sign_release(propose_release(None, START, [bundle(1)]), OTHER, START)
    review = review_release(propose_release(hubs_claim, START), hubs_claim, [KEY.public])
    assert review.added == (bundle(1),) and review.against is None
    assert "nothing signed before" in review.text()
    broken = json.loads(hubs_claim)
    broken["signatures"] = [{"keyid": s["keyid"], "sig": "zz"} for s in broken["signatures"]]
    review_release(propose_release(None, START), json.dumps(broken).encode(), [OTHER.public])


def test_an_older_version_is_not_shown_as_news():
    first = sign_release(propose_release(None, START, [bundle(1)]), KEY, START)
    second = sign_release(propose_release(first, START, [bundle(2)]), KEY, START)
    with pytest.raises(TrustError, match="version 2 was signed before"):
        review_release(first, second, [KEY.public])


def changed(change):
    metadata = parse(propose_release(None, START, [bundle(1)]), Targets)
    change(metadata)
    return encode(metadata)


def delegate(metadata):
    key = parse_key()
    role = DelegatedRole("hub", [key.keyid], 1, False, paths=["bundles/*"])
    metadata.signed.delegations = Delegations({key.keyid: key}, {"hub": role})


def parse_key():
    from edgewright.trust.updates.metadata import tuf_key

    return tuf_key(OTHER.public)


def target(path="bundles/" + "1" * 64, length=5, hashes=None, custom=None):
    facts = {"release": "r", "name": "n", "version": "1", "hardware": []} if custom is None else custom
    return TargetFile(length, hashes or {"sha256": "1" * 64}, path, {"custom": facts})


FACTS = {"release": "r", "name": "n", "version": "1", "hardware": []}


@pytest.mark.parametrize(
    "change",
    [
        delegate,
        lambda m: m.signed.unrecognized_fields.update({"x": 1}),
        lambda m: m.unrecognized_fields.update({"x": 1}),
        lambda m: m.signed.unrecognized_fields.pop(SIGNED_AT),
        lambda m: setattr(m.signed, "expires", START + 400 * DAY),
        lambda m: setattr(m.signed, "expires", START - DAY),
        lambda m: m.signed.unrecognized_fields.update({SIGNED_AT: "2026-01-01T00:00:00Z"}),
        lambda m: m.signed.unrecognized_fields.update({SIGNED_AT: "2036-01-01T00:00:00Z"}),
        lambda m: m.signed.unrecognized_fields.update({SIGNED_AT: 5}),
        lambda m: m.signed.targets.update({"etc/passwd": target("etc/passwd")}),
        lambda m: m.signed.targets.update({"bundles/../x": target("bundles/../x")}),
        lambda m: m.signed.targets.update({t.path: t for t in [target(hashes={"md5": "1"})]}),
        lambda m: m.signed.targets.update({t.path: t for t in [target(hashes={"sha256": "2" * 64})]}),
        lambda m: m.signed.targets.update({t.path: t for t in [target(hashes={"sha256": "1" * 64, "sha1": "0"})]}),
        lambda m: m.signed.targets.update({t.path: t for t in [target(length=0)]}),
        lambda m: m.signed.targets.update({t.path: t for t in [target(custom={**FACTS, "run": "rm"})]}),
        lambda m: m.signed.targets.update({t.path: t for t in [target(custom={**FACTS, "name": "\x1b[2J"})]}),
        lambda m: m.signed.targets.update({t.path: t for t in [target(custom={**FACTS, "hardware": "pi4"})]}),
        lambda m: m.signed.targets.update({t.path: t for t in [target(custom={**FACTS, "hardware": [1]})]}),
        lambda m: m.signed.targets.update({t.path: t for t in [target(custom=[])]}),
    ],
)
def test_what_the_review_would_not_show_is_not_signed(change):
    with pytest.raises(TrustError) as caught:
        sign_release(changed(change), KEY, START)
    assert "\x1b" not in str(caught.value)


@pytest.mark.parametrize("role", ["1.root.json", "timestamp.json"])
def test_a_release_key_signs_releases_only(role):
    with pytest.raises(TrustError):
        sign_release(Office().files[role], KEY, START)


def test_a_root_key_signs_roots_only():
    with pytest.raises(TrustError):
        sign_root(propose_release(None, START), KEY, START)


@given(st.binary(max_size=300))
def test_whatever_is_proposed_gets_an_answer(noise):
    for use in (lambda: sign_release(noise, KEY, START), lambda: review_root(noise, None)):
        with pytest.raises(TrustError):
            use()


@pytest.mark.parametrize(
    "facts", [{"sha256": "x"}, {"sha256": "A" * 64}, {"length": 0}, {"length": True}, {"length": 1.5}, {"name": ""},
              {"name": "a b"}, {"version": "\n"}, {"release": "../x"}, {"hardware": ("",)}, {"hardware": ("a",  None)}]
)  # fmt: skip
def test_bad_facts_are_no_release(facts):
    with pytest.raises(InputError):
        bundle(1, **facts)


def test_what_is_not_there_is_not_withdrawn():
    with pytest.raises(InputError, match="cannot be withdrawn"):
        propose_release(None, START, remove=["0" * 64])


# The hub.


def test_a_threshold_of_release_keys():
    office = Office()
    office.release_keys.append(SigningKey.generate())
    keys = office.keys()
    keys = Keys(keys.root, RoleKeys(keys.release.keys, 2), keys.snapshot, keys.timestamp)
    targets = office.signed(propose_release(office.repository.targets, START))
    office.publish(root=office.signed_root(keys), targets=targets)
    proposed = propose_release(office.repository.targets, START, [bundle(1)])
    root = office.repository.roots[-1]
    assert missing_signatures(root, proposed) == 2
    one = sign_release(proposed, office.release_keys[0], START)
    assert missing_signatures(root, one) == missing_signatures(root, sign_release(one, OTHER, START)) == 1
    with pytest.raises(TrustError):
        office.publish(targets=one)
    two = sign_release(one, office.release_keys[1], START)
    assert missing_signatures(root, two) == 0
    office.publish(targets=two)
    assert office.repository.releases() == {bundle(1).sha256: bundle(1)}


def test_targets_follow_one_another():
    office = Office()
    office.release(b"one")
    old = office.repository.targets
    office.release(b"two", "2")
    with pytest.raises(TrustError, match="version 2, but 3 is published"):
        office.publish(targets=old)


def test_the_hub_s_keys_are_those_of_the_root():
    office = Office()
    with pytest.raises(TrustError, match="the root names the snapshot key"):
        publish(office.repository, OnlineKeys(KEY, office.online.timestamp), START)
    with pytest.raises(TrustError, match="the root names the timestamp key"):
        publish(office.repository, OnlineKeys(office.online.snapshot, KEY), START)


def test_renewal_signs_no_more_than_it_must():
    office = Office()
    before = office.repository
    assert before.due(START) == () and before.due(START + DAY) == ("timestamp",)
    office.wait(hours=12)
    assert office.repository.timestamp != before.timestamp and office.repository.snapshot == before.snapshot
    assert office.repository.due(office.now + 4 * DAY) == ("snapshot", "timestamp")
    office.wait(days=4)
    assert office.repository.snapshot != before.snapshot and office.repository.targets == before.targets
    assert office.repository.due(START + 250 * DAY)[0] == "targets"
    assert office.repository.due(START + 490 * DAY)[:2] == ("root", "targets")


def test_files_are_in_the_order_of_writing():
    office = Office()
    names = list(office.repository.files())
    assert names[0] == "1.root.json" and names[1] == "1.targets.json" and names[-1] == "timestamp.json"
    before = dict(office.files)
    office.wait(hours=1)
    office.release(b"one")
    assert all(office.files[name] == data for name, data in before.items() if name != "timestamp.json")


def test_a_new_repository_needs_both():
    with pytest.raises(InputError, match="needs a signed root"):
        publish(None, OnlineKeys(KEY, KEY), START)


def test_the_same_moment_still_gives_a_newer_version():
    office = Office()
    office.publish()
    office.publish()
    assert json.loads(office.files["timestamp.json"])["signed"]["version"] == int(START.timestamp()) + 2


# Roots.


def test_who_may_be_in_a_root():
    a, b, c, d = (SigningKey.generate().public for _ in range(4))
    good = Keys(RoleKeys((a, b), 2), RoleKeys((c,)), d, d)
    assert Keys.of(propose_root(good, START)) == good
    for bad in (
        lambda: Keys(RoleKeys((a, a), 2), RoleKeys((c,)), d, d),
        lambda: Keys(RoleKeys((a, b), 3), RoleKeys((c,)), d, d),
        lambda: Keys(RoleKeys((a, b), 0), RoleKeys((c,)), d, d),
        lambda: Keys(RoleKeys(()), RoleKeys((c,)), d, d),
        lambda: Keys(RoleKeys((a,)), RoleKeys((c,)), c, d),
        lambda: Keys(RoleKeys((a,)), RoleKeys((c,)), d, a),
    ):
        with pytest.raises(InputError):
            bad()


def test_what_a_root_changes_is_shown():
    office = Office()
    gone = office.roots[0].public
    office.roots = [*office.roots[1:], KEY]
    text = review_root(propose_root(office.keys(), START, office.repository.roots[-1]), office.repository.roots[-1])
    assert "root version 2" in text and f"    + {KEY.public.id}" in text and f"    - {gone.id}" in text
    assert "  root: 2 of 3 (before: 2 of 3)" in text
    assert "(before: none)" in review_root(office.repository.roots[0], None)


@pytest.mark.parametrize(
    "change",
    [
        lambda v: v.update(x=1),
        lambda v: v["signed"].update(x=1),
        lambda v: v["signed"].update(consistent_snapshot=False),
        lambda v: v["signed"]["roles"]["timestamp"].update(threshold=2),
        lambda v: v["signed"]["roles"]["targets"].update(x=1),
        lambda v: v["signed"]["roles"]["root"].update(keyids=[]),
        lambda v: v["signed"]["roles"]["targets"].update(keyids=v["signed"]["roles"]["timestamp"]["keyids"]),
        lambda v: v["signed"]["keys"].update({"00" * 32: next(iter(v["signed"]["keys"].values()))}),
        lambda v: next(iter(v["signed"]["keys"].values())).update(x=1),
        lambda v: next(iter(v["signed"]["keys"].values())).update(keytype="rsa", scheme="rsassa-pss-sha256"),
        lambda v: next(iter(v["signed"]["keys"].values()))["keyval"].update(public="00"),
        lambda v: v["signed"].update(expires="2099-01-01T00:00:00Z"),
        lambda v: v["signed"].update(version=True),
        lambda v: v["signed"].update(version="2"),
        lambda v: v["signed"].update(spec_version="2.0"),
    ],
)
def test_a_strange_root_is_not_signed(change):
    value = json.loads(propose_root(Office().keys(), START))
    change(value)
    with pytest.raises(TrustError):
        sign_root(json.dumps(value).encode(), KEY, START)


def test_an_old_proposal_is_not_signed():
    proposed = propose_root(Office().keys(), START)
    sign_root(proposed, KEY, START + 29 * DAY)
    with pytest.raises(TrustError, match="last 30 days"):
        sign_root(proposed, KEY, START + 31 * DAY)
    with pytest.raises(TrustError, match="last 30 days"):
        sign_root(proposed, KEY, START - DAY)


def test_signatures_over_bundles_and_over_metadata_do_not_mix():
    metadata = Metadata(Targets())
    assert metadata.signed_bytes.startswith(b"{")
    assert isinstance(parse_key(), Key)
