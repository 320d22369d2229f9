"""The store of objects: a folder, and an S3 server of another make (moto) that the tests start."""

import os
import shutil
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from edgewright.core.errors import InputError, StorageError
from edgewright.hub import library as lib
from edgewright.hub.errors import Absent
from edgewright.hub.objects import expect, objects, sweep, work_folder

TENANT, OTHER = "ten_" + "0" * 26, "ten_" + "1" * 26
NAME = "bundles/" + "ab" * 32
DAY = timedelta(days=1)


@pytest.fixture(params=["folder", "s3"])
def place(request):
    """``State.objects``, with what it takes from the environment."""
    if request.param == "folder":
        return ""
    return request.getfixturevalue("bucket")


@pytest.fixture
def url(tmp_path, tables):
    """What lies in the store does not hang on the database: these run on SQLite."""
    return f"sqlite:///{shutil.copy(tables, tmp_path / 'hub.db')}"


@pytest.fixture
def state(state, place):
    return replace(state, objects=place, _parts={})


@pytest.fixture
def store(state):
    return objects(state)


def file(tmp_path, data):
    path = tmp_path / "data" / "some file"
    path.write_bytes(data)
    return path


def test_what_is_put_is_there(store, tmp_path):
    data = os.urandom(12 * 2**20 + 5)  # several parts of an S3 upload
    store.put(TENANT, NAME, file(tmp_path, data))
    assert store.read(TENANT, NAME, 0, len(data)) == data
    assert store.read(TENANT, NAME, 5_000_000, 1000) == data[5_000_000:5_001_000]
    assert b"".join(store.pieces(TENANT, NAME, 10, 3 * 2**20)) == data[10 : 10 + 3 * 2**20]
    store.put(TENANT, NAME, file(tmp_path, data))  # again: the same
    assert [(one.tenant, one.name) for one in store.list(TENANT)] == [(TENANT, NAME)]
    assert list(store.list(OTHER)) == []
    store.delete(TENANT, NAME)
    store.delete(TENANT, NAME)
    assert list(store.list(TENANT)) == []
    with pytest.raises(Absent):
        store.read(TENANT, NAME, 0, 1)


@pytest.mark.parametrize("tenant, name", [
    (TENANT, "../keys/own.key"), (TENANT, "bundles/../../keys/safe.key"), (TENANT, "bundles/" + "AB" * 32),
    ("..", NAME), ("", NAME), (TENANT, "other/" + "ab" * 32), (TENANT, NAME + "/"), (TENANT, ""),
    (TENANT + "/..", NAME),
])  # fmt: skip
def test_no_other_key_is_made(store, tmp_path, tenant, name):
    for deed in (lambda: store.read(tenant, name, 0, 1), lambda: store.delete(tenant, name),
                 lambda: store.put(tenant, name, file(tmp_path, b"x"))):  # fmt: skip
        with pytest.raises(InputError):
            deed()


def test_a_bundle_goes_all_the_way(library, make, place):
    bundle, other = make(width=64), make("1.0.1", step=1e-4, width=64)
    library.upload(bundle)
    library.upload(other)
    assert library.hub.north.ask("GET", f"/api/edge/bundles/{bundle.digest}/download", 200).content == bundle.data
    where = library.state.folder / "objects"
    assert place or len([path for path in where.rglob("*") if path.is_file()]) == 2
    assert not place or not where.exists()


def test_objects_that_no_row_names_go_after_a_day(library, make, store, tmp_path, clock):
    tenant = library.hub.tenants["north"]
    bundle, removed = make(), make("1.0.1")
    library.upload(bundle)
    library.upload(removed)
    library.hub.north.ask("DELETE", f"/api/edge/bundles/{removed.digest}", 204)
    store.put(tenant, NAME, file(tmp_path, b"nobody's"))
    store.put(OTHER, NAME, file(tmp_path, b"of another hub"))
    now = datetime.now(UTC)
    sweep(library.state, now + 0.9 * DAY, (lib.named,))
    assert len(list(store.list(tenant))) == 3
    sweep(library.state, now + 2 * DAY, (lib.named,))
    assert len(list(store.list(tenant))) == 3, "somebody may be reading what was named a moment ago"
    sweep(library.state, now + 2.9 * DAY, (lib.named,))
    assert len(list(store.list(tenant))) == 3
    sweep(library.state, now + 3.1 * DAY, (lib.named,))
    assert [one.name for one in store.list(tenant)] == [f"bundles/{bundle.file}"]
    assert len(list(store.list(OTHER))) == 1
    assert library.hub.north.ask("GET", f"/api/edge/bundles/{bundle.digest}/download", 200).content == bundle.data


def test_an_object_that_arrives_is_not_swept(library, make, store, tmp_path):
    tenant, now = library.hub.tenants["north"], datetime.now(UTC)
    expect(library.state, tenant, NAME)
    store.put(tenant, NAME, file(tmp_path, b"no row yet"))
    sweep(replace(library.state, clock=lambda: now), min(now, library.state.clock()) + 0.9 * DAY, (lib.named,))
    assert len(list(store.list(tenant))) == 1


def test_what_a_killed_upload_left_goes(library):
    work = work_folder(library.state)
    left = work / ".upload.abcdefgh.part"
    left.mkdir(parents=True)
    (left / "bundle.ewb").write_bytes(b"x" * 1000)
    sweep(library.state, library.state.clock(), (lib.named,))
    assert list(work.iterdir()) == []


def test_a_folder_is_on_the_disk_before_put_returns(state, tmp_path, monkeypatch):
    """The file, and every folder that names it, are synced, in that order around the rename."""
    if state.objects:
        pytest.skip("the server's own matter")
    steps, real = [], os.fsync

    def fsync(handle):
        path = Path(f"/proc/self/fd/{handle}").readlink()
        steps.append((path.name, path.is_dir()))
        real(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    objects(state).put(TENANT, NAME, file(tmp_path, b"x"))
    assert steps == [("objects", True), (TENANT, True), ("some file", False), ("bundles", True)]


@pytest.mark.parametrize("where", ["ftp://x/y", "gs://bucket", "s3://", "/tmp/x", "file:///tmp/x"])
def test_other_stores_are_refused(state, where):
    with pytest.raises(InputError, match="s3://BUCKET"):
        objects(replace(state, objects=where, _parts={}))


def test_a_store_that_does_not_answer_is_told(state, monkeypatch, library, make):
    if not state.objects:
        pytest.skip("a folder is there")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    gone = objects(replace(state, _parts={}))
    with pytest.raises(StorageError, match="does not answer"):
        gone.read(TENANT, NAME, 0, 1)


def test_an_object_that_shrank_is_not_served(state, tmp_path):
    if state.objects:
        pytest.skip("a folder's matter")
    store = objects(state)
    store.put(TENANT, NAME, file(tmp_path, b"x" * 100))
    (state.folder / "objects" / TENANT / NAME).write_bytes(b"x" * 50)
    for start in (0, 60):
        with pytest.raises(StorageError):
            store.read(TENANT, NAME, start, 40 if start else 100)
