"""Deltas: made in the background, followed by a device, and bounded whoever asks."""

import os
import threading

import pytest

from edgewright.bundles.deltas import accept, bundle_files, needed, read_recipe, reconstruct
from edgewright.bundles.names import MANIFEST, SIGNATURE
from edgewright.core.digests import digest_bytes
from edgewright.core.errors import StorageError, TrustError
from edgewright.hub import library as lib
from edgewright.hub.errors import Absent
from edgewright.hub.library import coding, deltas
from edgewright.hub.library.deltas import maker
from edgewright.hub.library.tables import Delta, Piece


@pytest.fixture
def pair(library, make):
    """An old and a new bundle that are alike, uploaded."""
    old, new = make(width=4096), make("1.0.1", step=1e-4, width=4096)
    library.upload(old)
    library.upload(new)
    return old, new


@pytest.fixture
def ask(library):
    def asked(new, old, tenant="north"):
        found = lib.delta(library.state, library.hub.tenants[tenant], new.digest, old.digest)
        maker(library.state).wait()
        return found

    yield asked
    maker(library.state).close()


def test_a_device_makes_the_new_bundle_of_the_old_one(library, pair, ask, tmp_path):
    old, new = pair
    assert ask(new, old) is None  # it is being made
    recipe = ask(new, old)
    assert recipe and ask(new, old) == recipe
    sizes = {name: (digest_bytes(data), len(data)) for name, data in new.files.items()}
    wanted = {name: size for name, size in sizes.items() if name not in (MANIFEST, SIGNATURE)}
    have = {}
    for name, data in old.files.items():
        path = tmp_path / "old" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    have = bundle_files(tmp_path / "old")
    read, chunks, fetched = read_recipe(recipe, wanted), tmp_path / "chunks", len(recipe)
    chunks.mkdir()
    for chunk in needed(read, have, chunks):
        file = lib.open_file(library.state, library.hub.tenants["north"], chunk.digest)
        part = tmp_path / "part"
        part.write_bytes(file.read(0, file.length))
        fetched += file.length
        accept(part, chunk, chunks)
    assert not reconstruct(read, have, chunks, tmp_path / "made", wanted)
    assert all((tmp_path / "made" / name).read_bytes() == new.files[name] for name in wanted)
    assert fetched < 0.85 * len(new.data)


def test_what_saves_nothing_is_fetched_whole(library, make, ask):
    old, new = make(noise=1), make("1.0.1", noise=2)
    library.upload(old)
    library.upload(new)
    assert ask(new, old) is None and ask(new, old) is None
    with library.state.database.read(library.hub.tenants["north"]) as session:
        assert [row.state for row in session.query(Delta)] == ["whole"]


def test_there_is_none_between_others_bundles(library, pair, ask, make):
    old, new = pair
    with pytest.raises(Absent):
        ask(new, old, "south")
    library.upload(new, who=library.hub.south)
    with pytest.raises(Absent):
        ask(new, old, "south")
    assert ask(new, new) is None
    with library.state.database.read(library.hub.tenants["north"]) as session:
        assert session.query(Delta).count() == 0


def test_a_removed_bundle_takes_its_deltas_along(library, pair, ask):
    old, new = pair
    ask(new, old)
    recipe = ask(new, old)
    assert recipe
    with library.state.database.read(library.hub.tenants["north"]) as session:
        chunks = [piece.digest for piece in session.query(Piece).where(Piece.owner.contains("/"))]
    assert chunks
    library.hub.north.ask("DELETE", f"/api/edge/bundles/{old.digest}", 204)
    with pytest.raises(Absent):
        ask(new, old)
    for digest in chunks:
        with pytest.raises(Absent):
            lib.open_file(library.state, library.hub.tenants["north"], digest)


def test_who_asks_for_many_gets_whole_bundles(library, pair, make, ask, monkeypatch):
    old, new = pair
    third = make("1.0.2", step=2e-4, width=4096)
    library.upload(third)
    monkeypatch.setattr(deltas.Maker, "start", lambda self: None)
    monkeypatch.setattr(deltas, "MOST_WAITING", 1)
    assert ask(new, old) is None and ask(third, old) is None
    with library.state.database.read(library.hub.tenants["north"]) as session:
        assert [row.new for row in session.query(Delta)] == [new.digest]
    monkeypatch.setattr(deltas, "MOST_WAITING", 9)
    monkeypatch.setattr(deltas, "MOST_OLD", 1)
    ask(new, third)
    monkeypatch.setattr(deltas, "MOST_BYTES", 10)
    ask(third, new)
    with library.state.database.read(library.hub.tenants["north"]) as session:
        assert session.query(Delta).count() == 1


def test_a_hub_that_ended_in_the_middle_goes_on(library, pair, ask, clock, monkeypatch):
    old, new = pair
    with monkeypatch.context() as patched:
        patched.setattr(deltas.Maker, "start", lambda self: None)
        ask(new, old)
    # One that died held it.
    assert maker(library.state)._take() == (library.hub.tenants["north"], new.digest, old.digest)
    lib.resume(library.state)
    maker(library.state).wait()
    assert ask(new, old) is None
    clock.go_on(minutes=31)
    lib.resume(library.state)
    maker(library.state).wait()
    assert ask(new, old)


def test_what_fails_twice_is_fetched_whole(library, pair, ask, monkeypatch, clock):
    old, new = pair

    def fail(*_):
        raise StorageError("the disk is full")

    monkeypatch.setattr(deltas, "code", fail)
    ask(new, old)
    ask(new, old)
    with library.state.database.read(library.hub.tenants["north"]) as session:
        assert [(row.state, row.tries) for row in session.query(Delta)] == [("whole", 2)]


def test_a_hub_that_closes_ends_the_child_and_leaves_it_to_the_next(library, pair, ask, monkeypatch):
    old, new = pair
    begun, real = threading.Event(), coding.run_child

    def slow(function, argument, **how):
        begun.set()
        return real("time:sleep", 500, **how)

    monkeypatch.setattr(coding, "run_child", slow)
    lib.delta(library.state, library.hub.tenants["north"], new.digest, old.digest)
    assert begun.wait(60)
    maker(library.state).close()
    maker(library.state).close()
    with library.state.database.read(library.hub.tenants["north"]) as session:
        assert [(row.state, row.tries) for row in session.query(Delta)] == [("wanted", 0)]


@pytest.fixture
def code(make, tmp_path):
    """Between two packed bundles, as the maker has it made; ``answer`` changes what the child says."""
    old, new = make(width=4096), make("1.0.1", step=1e-4, width=4096)
    (tmp_path / "old").write_bytes(old.data)
    (tmp_path / "new").write_bytes(new.data)

    def places(bundle):
        return {name: [digest_bytes(data), len(data), bundle.data.index(data)] for name, data in bundle.files.items()}

    stop, ends = os.pipe()
    yield lambda: coding.code(tmp_path, places(old), places(new), stop)
    os.close(stop)
    os.close(ends)


@pytest.mark.parametrize("change", [
    {"recipe": ["0" * 64, 0, 2**40]}, {"recipe": None}, {"chunks": [["x", 0, 1]]}, {"chunks": [["0" * 64, 0, 1]]},
    {"chunks": []}, {"recipe": ["0" * 64, 0, 10]}, {"chunks": 7}, {"chunks": [["0" * 64, -1, 5]]},
], ids=str)  # fmt: skip
def test_a_childs_answer_is_checked(code, monkeypatch, change):
    real = coding.run_child
    monkeypatch.setattr(coding, "run_child", lambda *a, **k: {**real(*a, **k), **change})
    with pytest.raises(TrustError):
        code()


def test_a_child_that_leaves_no_file_or_a_link_is_found_out(code, monkeypatch, tmp_path):
    assert code().chunks
    real, secret = coding.run_child, tmp_path / "secret"
    (tmp_path / "delta").rename(secret)

    def linked(*a, **k):
        told = real(*a, **k)
        (tmp_path / "delta").unlink()
        (tmp_path / "delta").symlink_to(secret)
        return told

    monkeypatch.setattr(coding, "run_child", linked)
    with pytest.raises(TrustError):
        code()
