"""A device believes what is signed, new and within its time, whatever else it is told."""

import contextlib
import hashlib
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tuf.api.exceptions import DownloadHTTPError
from tuf.api.metadata import Metadata, MetaFile, Snapshot, Targets, Timestamp
from tuf.ngclient import FetcherInterface, Updater, UpdaterConfig

from edgewright.core.errors import StorageError, TrustError
from edgewright.testing.updates import START, Office
from edgewright.trust import SigningKey
from edgewright.trust.updates import (
    Expired,
    OnlineKeys,
    Release,
    begin,
    clock_floor,
    propose_release,
    publish,
    refresh,
)
from edgewright.trust.updates import client as client_module
from edgewright.trust.updates import memory as memory_module
from edgewright.trust.updates.memory import FILES, Memory
from edgewright.trust.updates.metadata import LIMITS, add_signature, encode, parse

DAY = timedelta(days=1)


@pytest.fixture
def office():
    return Office()


@pytest.fixture
def folder(tmp_path, office):
    begin(tmp_path / "updates", office.files["1.root.json"])
    return tmp_path / "updates"


def digests(releases):
    return {release.sha256 for release in releases}


def names(office, role):
    return next(name for name in reversed(office.files) if role in name)


def test_what_is_released_may_run_and_nothing_else(office, folder):
    assert not len(refresh(folder, office.fetch, office.now))
    first, second = office.release(b"one"), office.release(b"two", "2")
    releases = refresh(folder, office.fetch, office.now)
    assert releases.find(first.sha256) == first and digests(releases) == {first.sha256, second.sha256}
    with pytest.raises(TrustError, match="not released"):
        releases.find("00" * 32)


def test_nothing_new_is_one_small_request_beside_the_root(office, folder):
    office.release(b"one")
    refresh(folder, office.fetch, office.now)
    asked = []

    def fetch(name, limit):
        asked.append(name)
        return office.fetch(name, limit)

    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert len(refresh(folder, fetch, office.now)) == 1
    assert asked == ["2.root.json", "timestamp.json"]
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == before


def test_the_reference_client_reads_our_repository(office, tmp_path):
    data = b"a bundle"
    release = office.release(data)
    office.publish()

    class Fetcher(FetcherInterface):
        def _fetch(self, url):
            name = url.removeprefix("http://hub/")
            if name == release.path:
                return iter([data])
            if name not in office.files:
                raise DownloadHTTPError("no", 404)
            return iter([office.files[name]])

    (tmp_path / "meta").mkdir()
    config = UpdaterConfig(prefix_targets_with_hash=False)
    root = office.files["1.root.json"]
    updater = Updater(
        str(tmp_path / "meta"), "http://hub/", str(tmp_path), "http://hub/", Fetcher(), config, bootstrap=root
    )
    updater._trusted_set.reference_time = office.now
    info = updater.get_targetinfo(release.path)
    told = {"release": "r1", "name": "digits", "version": "1", "hardware": ["pi4"], "bundle": "", "signer": ""}
    assert info.custom == told
    updater.download_target(info, str(tmp_path / "got"))
    assert (tmp_path / "got").read_bytes() == data


# Hostile metadata. After each attack the honest hub is believed again, and what was verified before still counts.


@contextlib.contextmanager
def refused(office, folder, match=None, kind=TrustError):
    good = dict(office.files)
    with pytest.raises(kind, match=match):
        yield
    office.files = good
    assert digests(refresh(folder, office.fetch, office.now)) == set(office.repository.releases())


@pytest.mark.parametrize("role", ["timestamp", "snapshot", "targets", "root"])
@pytest.mark.parametrize(
    "change",
    [
        lambda data: b"",
        lambda data: data[:-1],
        lambda data: data[: len(data) // 2],
        lambda data: data + b" " * 2**24,
        lambda data: b"[" * 10_000,
        lambda data: b"null",
        lambda data: b'{"signed": {}, "signatures": []}',
        lambda data: b'{"signatures":1,' + data[1:],
        lambda data: data.replace(b'"version":', b'"version":1e3,"version":'),
        lambda data: b"\xff" + data,
        lambda data: json.dumps({**json.loads(data), "signatures": []}).encode(),
    ],
)
def test_damaged_files(office, folder, role, change):
    refresh(folder, office.fetch, office.now)
    office.release(b"one")
    office.publish(root=office.signed_root(office.keys()))
    with refused(office, folder):
        name = names(office, role)
        office.files[name] = change(office.files[name])
        refresh(folder, serving(office.files), office.now)


@given(st.data())
def test_any_flipped_bit_is_found_or_means_nothing(tmp_path_factory, data):
    office = OFFICE
    folder = tmp_path_factory.mktemp("device")
    begin(folder, office.files["1.root.json"])
    name = data.draw(st.sampled_from(sorted(set(office.files) - {"1.root.json"})))
    place = data.draw(st.integers(0, len(office.files[name]) - 1))
    flipped = bytearray(office.files[name])
    flipped[place] ^= data.draw(st.sampled_from([1, 2, 4, 8, 16, 32, 64, 128]))
    files = {**office.files, name: bytes(flipped)}

    def fetch(name, limit):
        if name not in files:
            raise FileNotFoundError(name)
        return files[name]

    with contextlib.suppress(TrustError):
        # A flip may fall into a signature that is not needed, or a key id that nobody has: then all else holds.
        assert digests(refresh(folder, fetch, office.now)) == set(office.repository.releases())
    assert digests(refresh(folder, office.fetch, office.now)) == set(office.repository.releases())


def _office():
    office = Office()
    office.release(b"one")
    office.publish(root=office.signed_root(office.keys()))
    office.release(b"two", "2")
    return office


OFFICE = _office()


def test_another_fleet_s_files_are_forged_here(office, folder):
    office.release(b"one")
    refresh(folder, office.fetch, office.now)
    other = Office()
    other.release(b"evil")
    other.publish()
    with refused(office, folder, "timestamp.json is refused"):
        office.files |= {name: data for name, data in other.files.items() if not name.endswith("root.json")}
        refresh(folder, office.fetch, office.now)


@pytest.mark.parametrize("name", ["timestamp.json", "targets.json", "1.targets.json"])
def test_a_file_of_another_role_is_refused(office, folder, name):
    office.release(b"one")
    with refused(office, folder):
        office.files["timestamp.json"] = office.files[names(office, "targets")]
        refresh(folder, office.fetch, office.now)


@pytest.mark.parametrize("lost", [[], ["timestamp.json"], ["timestamp.json", "snapshot.json"],
                                  ["timestamp.json", "snapshot.json", "targets.json"], [FILES[0]], [FILES[1]],
                                  [FILES[0], "timestamp.json", "snapshot.json", "targets.json"]])  # fmt: skip
@pytest.mark.parametrize("how", ["missing", "empty", "torn", "zeros", "link"])
def test_replayed_metadata_is_refused_whatever_the_disk_lost(office, folder, lost, how, tmp_path):
    office.release(b"one")
    old = dict(office.files)
    office.wait(hours=1)
    office.release(b"two", "2")
    refresh(folder, office.fetch, office.now)
    for name in lost:
        path = folder / name
        data = path.read_bytes()
        path.unlink()
        if how == "link":
            path.symlink_to(tmp_path / "nowhere")
        elif how != "missing":
            path.write_bytes({"empty": b"", "torn": data[: len(data) // 2], "zeros": bytes(len(data))}[how])
    with refused(office, folder, "version"):
        office.files = old
        refresh(folder, office.fetch, office.now)


def test_without_any_memory_nothing_is_believed_until_it_is_enrolled_again(office, folder):
    refresh(folder, office.fetch, office.now)
    for name in FILES:
        (folder / name).write_bytes(b"\0" * 100)
    with pytest.raises(TrustError, match="enrol again"):
        refresh(folder, office.fetch, office.now)
    begin(folder, office.files["1.root.json"])
    refresh(folder, office.fetch, office.now)


def test_mixed_metadata_is_refused(office, folder):
    office.release(b"one")
    old_snapshot, old_targets = (office.files[names(office, role)] for role in ("snapshot", "targets"))
    office.wait(hours=1)
    office.release(b"two", "2")
    with refused(office, folder, "snapshot"):
        office.files[names(office, "snapshot")] = old_snapshot
        refresh(folder, office.fetch, office.now)
    office.wait(hours=1)
    office.release(b"three", "3")
    with refused(office, folder, "targets"):
        office.files[names(office, "targets")] = old_targets
        refresh(folder, office.fetch, office.now)


@pytest.mark.parametrize("role", ["root", "timestamp", "snapshot", "targets"])
def test_endless_data_is_cut_off(office, folder, role):
    limits = []

    def fetch(name, limit):
        limits.append(limit)
        if role in name:
            return b" " * (limit + 1)
        return office.fetch(name, limit)

    with pytest.raises(TrustError, match="more than the"):
        refresh(folder, fetch, office.now)
    assert max(limits) <= LIMITS["targets"]


@pytest.mark.parametrize("role", ["timestamp", "snapshot", "targets"])
def test_a_missing_file_is_told(office, folder, role):
    with refused(office, folder, f"the hub has no .*{role}.json"):
        del office.files[names(office, role)]
        refresh(folder, office.fetch, office.now)


def test_the_network_s_own_faults_pass_through(office, folder):
    def fetch(name, limit):
        raise ConnectionResetError("gone")

    with pytest.raises(ConnectionResetError):
        refresh(folder, fetch, office.now)


# Time.


def test_an_honest_hub_that_was_not_renewed_holds_updates_back(office, folder):
    office.release(b"one")
    refresh(folder, office.fetch, office.now + 1.9 * DAY)
    with pytest.raises(Expired, match=r"timestamp\.json is expired; renew it"):
        refresh(folder, office.fetch, office.now + 2 * DAY)
    office.wait(days=3)
    assert len(refresh(folder, office.fetch, office.now)) == 1


def test_a_device_that_was_off_for_long_comes_back(office, folder):
    refresh(folder, office.fetch, office.now)
    for _ in range(3):
        office.wait(days=200)
        office.publish(root=office.signed_root(office.keys()))
        office.release(str(office.now).encode())
    assert len(refresh(folder, office.fetch, office.now)) == 3  # by three roots; what it has itself expired long ago


@pytest.mark.parametrize(("days", "role"), [(366, "targets"), (731, "root")])
def test_what_offline_keys_signed_ends_too(office, folder, days, role):
    office.now += days * DAY
    if role == "targets":
        with pytest.raises(TrustError, match="expired"):
            office.publish()  # the hub says so before the devices do
        office.publish(targets=office.signed(propose_release(office.repository.targets, office.now)))
        assert not len(refresh(folder, office.fetch, office.now))
    else:
        with pytest.raises(Expired, match="root"):
            refresh(folder, office.fetch, office.now)


def test_a_clock_in_1970_is_not_believed(office, folder):
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    office.release(b"one")
    assert clock_floor(folder, epoch) == START  # signed into the root
    assert len(refresh(folder, office.fetch, epoch)) == 1
    office.wait(days=100)
    office.release(b"two", "2")
    refresh(folder, office.fetch, office.now + timedelta(hours=2))
    assert clock_floor(folder, epoch) == office.now + timedelta(hours=2)  # its own last record
    assert clock_floor(folder, office.now + 9 * DAY) == office.now + 9 * DAY


def test_old_metadata_stays_too_old_for_a_clock_in_1970(office, folder):
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    frozen = dict(office.files)  # what somebody replays to a device that they hold for the first time
    office.wait(days=30)
    begin(folder, office.signed_root(office.keys()))  # this root was signed 30 days later
    with pytest.raises(Expired):
        refresh(folder, serving(frozen), epoch)


def test_a_clock_ten_years_ahead_leaves_no_trace(office, folder):
    office.release(b"one")
    refresh(folder, office.fetch, office.now)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(Expired, match="clock"):
        refresh(folder, office.fetch, office.now + 3652 * DAY)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    office.wait(hours=5)
    office.release(b"two", "2")
    assert len(refresh(folder, office.fetch, office.now)) == 2


# Stolen keys, and how one recovers.


def forged(office, thief, targets=None, snapshot_version=None, timestamp_version=None, listed=None):
    """What a thief of online keys publishes: any versions, any targets file under any version."""
    end = office.now + 3650 * DAY
    version = listed or parse(targets or office.repository.targets, Targets).signed.version
    meta = {"targets.json": MetaFile.from_data(version, targets or office.repository.targets, ["sha256"])}
    old = parse(office.repository.snapshot, Snapshot).signed.version
    snapshot = Metadata(Snapshot(snapshot_version or old + 1, None, end, meta))
    add_signature(snapshot, thief.snapshot)
    pointer = MetaFile.from_data(snapshot.signed.version, encode(snapshot), ["sha256"])
    old = parse(office.repository.timestamp, Timestamp).signed.version
    timestamp = Metadata(Timestamp(timestamp_version or old + 1, None, end, pointer))
    add_signature(timestamp, thief.timestamp)
    files = {f"{snapshot.signed.version}.snapshot.json": encode(snapshot), "timestamp.json": encode(timestamp)}
    return {**office.files, **files, f"{version}.targets.json": targets or office.repository.targets}


def serving(files):
    def fetch(name, limit):
        if name not in files:
            raise FileNotFoundError(name)
        return files[name]

    return fetch


def test_online_keys_release_nothing(office, folder):
    refresh(folder, office.fetch, office.now)
    evil = propose_release(office.repository.targets, office.now, [replace_digest("66" * 32)])
    for signer in (None, office.online.snapshot, office.online.timestamp, SigningKey.generate()):
        metadata = parse(evil, Targets)
        if signer:
            add_signature(metadata, signer)
        with pytest.raises(TrustError, match="targets"):
            refresh(folder, serving(forged(office, office.online, encode(metadata))), office.now)
        with pytest.raises(TrustError, match="targets"):
            publish(office.repository, office.online, office.now, targets=encode(metadata))


def replace_digest(digest):
    return Release(digest, 4, "r9", "evil", "9")


def test_online_keys_do_not_bring_withdrawn_bundles_back(office, folder):
    bad = office.release(b"bad")
    with_bad = office.repository.targets
    office.wait(hours=1)
    office.publish(targets=office.signed(propose_release(with_bad, office.now, remove=[bad.sha256])))
    refresh(folder, office.fetch, office.now)
    for lost in ([], ["snapshot.json"], ["snapshot.json", "timestamp.json", "targets.json"]):
        for name in lost:
            (folder / name).unlink(missing_ok=True)
        with pytest.raises(TrustError):
            refresh(folder, serving(forged(office, office.online, with_bad)), office.now)


def test_stolen_online_keys_that_ran_ahead_are_recovered_from(office, folder):
    office.release(b"one")
    ahead = forged(office, office.online, snapshot_version=2**60, timestamp_version=2**60)
    refresh(folder, serving(ahead), office.now)
    office.wait(hours=1)
    with pytest.raises(TrustError, match="version"):
        refresh(folder, office.fetch, office.now)
    thief, office.online = office.online, OnlineKeys(SigningKey.generate(), SigningKey.generate())
    office.publish(root=office.signed_root(office.keys()))
    assert len(refresh(folder, office.fetch, office.now)) == 1
    with pytest.raises(TrustError):
        refresh(folder, serving(forged(office, thief)), office.now)
    floors = Memory.load(folder).floors
    assert max(floor.version for floor in floors.values()) < 2**40


def test_a_stolen_release_key_that_ran_ahead_is_recovered_from(office, folder):
    good = office.release(b"good")
    thief = office.release_keys[0]
    evil = Metadata(Targets(2**60, None, office.now + DAY, {}))
    add_signature(evil, thief)
    refresh(folder, serving(forged(office, office.online, encode(evil))), office.now)
    office.wait(hours=1)
    with pytest.raises(TrustError):
        refresh(folder, office.fetch, office.now)
    office.release_keys = [SigningKey.generate()]
    root = office.signed_root(office.keys())
    with pytest.raises(TrustError, match="targets"):  # the old targets are not the new key's
        office.publish(root=root)
    office.publish(root=root, targets=office.signed(propose_release(office.repository.targets, office.now)))
    assert digests(refresh(folder, office.fetch, office.now)) == {good.sha256}
    with pytest.raises(TrustError):
        refresh(folder, serving(forged(office, office.online, encode(evil))), office.now)


def test_a_hub_restored_from_a_backup_is_no_replay(office, folder):
    office.release(b"one")
    backup = replace(office.repository)
    for _ in range(5):
        office.wait(hours=1)
    refresh(folder, office.fetch, office.now)
    office.repository = backup
    office.wait(hours=1)
    assert len(refresh(folder, office.fetch, office.now)) == 1


# Roots.


def test_roots_follow_one_another(office, folder):
    for _ in range(3):
        office.roots = [*office.roots[1:], SigningKey.generate()]
        office.publish(root=office.signed_root(office.keys()))  # the two that stay have signed: by both roots' rules
    assert len(refresh(folder, office.fetch, office.now)) == 0
    assert Memory.load(folder).floors["root"].version == 4


@pytest.mark.parametrize("by", [[0], [3, 4], [0, 3], [1, 1]])
def test_too_few_signatures_make_no_root(office, folder, by):
    old, new = office.roots, [SigningKey.generate(), SigningKey.generate()]
    office.roots = [*new, old[2]]
    everyone = [*old, *new]
    root = office.signed_root(office.keys(), [everyone[number] for number in by])
    with pytest.raises(TrustError):
        office.publish(root=root)
    with pytest.raises(TrustError, match=r"2\.root\.json"):
        refresh(folder, serving({**office.files, "2.root.json": root}), office.now)
    assert Memory.load(folder).floors["root"].version == 1


def test_a_root_is_neither_skipped_nor_replayed(office, folder):
    office.publish(root=office.signed_root(office.keys()))
    office.publish(root=office.signed_root(office.keys()))
    with refused(office, folder, "2.root.json is refused"):
        office.files["2.root.json"] = office.files["3.root.json"]
        refresh(folder, office.fetch, office.now)
    (folder / "root.json").write_bytes(b"")  # it starts from the first root again; but not with fewer than it has seen
    with refused(office, folder, "root metadata is refused: version 1"):
        del office.files["2.root.json"]
        refresh(folder, office.fetch, office.now)


def test_the_first_root_may_be_compared_with_what_its_owner_said(office, tmp_path):
    root = office.files["1.root.json"]
    begin(tmp_path / "a", root, hashlib.sha256(root).hexdigest())
    with pytest.raises(TrustError, match="compare the digests"):
        begin(tmp_path / "b", root, "00" * 32)
    with pytest.raises(TrustError):
        begin(tmp_path / "c", office.signed_root(office.keys(), [office.roots[0]]))
    with pytest.raises(TrustError):
        begin(tmp_path / "d", office.files["timestamp.json"])


# Power cuts: cut before every single write, then again.


@pytest.mark.parametrize("rotated", [False, True])
def test_a_cut_at_any_write_loses_nothing(tmp_path, monkeypatch, rotated):
    office = Office()
    office.release(b"one")
    old = dict(office.files)
    start = office.now
    office.wait(hours=2)
    if rotated:
        office.online = OnlineKeys(SigningKey.generate(), SigningKey.generate())
        office.publish(root=office.signed_root(office.keys()))
    office.release(b"two", "2")
    write = client_module.write_file
    for cut in range(100):
        folder = tmp_path / str(cut)
        begin(folder, office.files["1.root.json"])
        refresh(folder, serving(old), start)
        left = cut

        def dying(path, data, mode=0o644):
            nonlocal left
            if left == 0:
                raise StorageError("the power is gone")
            left -= 1
            write(path, data, mode)

        with monkeypatch.context() as patch:
            patch.setattr(client_module, "write_file", dying)
            patch.setattr(memory_module, "write_file", dying)
            try:
                refresh(folder, office.fetch, office.now)
                whole = True
            except StorageError:
                whole = False
        floors = Memory.load(folder).floors  # readable after any cut
        assert floors["root"].version >= 1
        assert digests(refresh(folder, office.fetch, office.now)) == set(office.repository.releases())
        with pytest.raises(TrustError):
            refresh(folder, serving({**old, **{n: d for n, d in office.files.items() if "root" in n}}), office.now)
        if whole:
            assert cut > 8
            return
    raise AssertionError("it never ended")
