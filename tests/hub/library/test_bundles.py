"""Bundles taken in, given out and removed; and what forgers try."""

import hashlib
import threading
import tracemalloc

import anyio
import pytest

from edgewright.bundles.archive import BLOCK, pack_files
from edgewright.bundles.names import KIND
from edgewright.core.errors import StorageError
from edgewright.hub import library as lib
from edgewright.hub.errors import Absent
from edgewright.hub.objects import objects, sweep, work_folder
from edgewright.trust import SigningKey, sign


def empty(library):
    """Nothing of a refused upload is left."""
    assert library.hub.north.get("/api/edge/bundles")["items"] == []
    work = work_folder(library.state)
    assert not work.is_dir() or list(work.iterdir()) == []
    assert list(objects(library.state).list(library.hub.tenants["north"])) == []


def test_a_bundle_is_taken_in_once(library, make):
    bundle, north = make(), library.hub.north
    told = library.upload(bundle)
    assert (told["digest"], told["file"], told["length"]) == (bundle.digest, bundle.file, len(bundle.data))
    assert (told["name"], told["version"], told["engines"], told["hardware"], told["released"]) == (
        "classifier", "1.0.0", ["onnxruntime"], [], False,
    )  # fmt: skip
    assert told["evidence"]["measured"]["latency_p99_ms"]["value"] == 0.2
    assert library.upload(bundle, 200) == told
    assert north.get("/api/edge/bundles")["items"] == [told]
    assert north.get(f"/api/edge/bundles/{bundle.digest}") == told
    assert north.ask("GET", f"/api/edge/bundles/{bundle.digest}/download", 200).content == bundle.data
    lines = [one for one in north.get("/api/edge/audit")["items"] if one["action"] == "bundle.uploaded"]
    assert [one["subject"] for one in lines] == [bundle.digest]
    assert list(work_folder(library.state).iterdir()) == []


def test_the_newest_is_first_and_a_name_filters(library, make):
    found = [library.upload(make(version))["digest"] for version in ("1.0.0", "1.0.1", "1.0.2")]
    listed = library.hub.north.get("/api/edge/bundles?limit=2")
    assert [one["version"] for one in listed["items"]] == ["1.0.2", "1.0.1"]
    rest = library.hub.north.get(f"/api/edge/bundles?limit=2&cursor={listed['next']}&name=classifier")
    assert [one["digest"] for one in rest["items"]] == found[:1]
    assert library.hub.north.get("/api/edge/bundles?name=other")["items"] == []


def test_what_a_bundle_was_made_of_is_found_out_once_for_those_of_an_older_release(library, make):
    told, tenant = library.upload(make()), library.hub.tenants["north"]
    with library.state.database.write(tenant) as session:
        lib.find(session, told["digest"]).source = ""
    path = f"/api/edge/bundles?source={told['source']}"
    assert len(told["source"]) == 64 and library.hub.north.get(path)["items"] == []
    assert lib.name_sources(library.state) == 1 and lib.name_sources(library.state) == 0
    assert library.hub.north.get(path)["items"] == [told]


def test_the_targets_name_is_its_hardware(library, make):
    assert library.upload(make(target="raspberry-pi-4"))["hardware"] == ["raspberry-pi-4"]


def test_every_byte_range_is_there_by_its_digest(library, make):
    bundle, tenant = make(), library.hub.tenants["north"]
    library.upload(bundle)
    for data in (bundle.data, *bundle.files.values()):
        file = lib.open_file(library.state, tenant, hashlib.sha256(data).hexdigest())
        assert file.length == len(data) and b"".join(file.pieces()) == data
        assert file.read(3, 7) == data[3:10] and file.read(len(data), 5) == b"" and file.read(2, 2**40) == data[2:]
        assert b"".join(file.pieces(5, 6)) == data[5:11]


@pytest.mark.parametrize("name", ["", "../../keys/own.key", "0" * 64, "A" * 64, "\0" * 64, "0" * 63 + "/"])
def test_there_is_nothing_under_another_name(library, make, name):
    library.upload(make())
    with pytest.raises(Absent):
        lib.open_file(library.state, library.hub.tenants["north"], name)


def test_another_tenants_digest_opens_nothing(library, make):
    bundle = make()
    library.upload(bundle)
    south, tenant = library.hub.south, library.hub.tenants["south"]
    for path in ("", "/download"):
        south.ask("GET", f"/api/edge/bundles/{bundle.digest}{path}", 404)
    south.ask("DELETE", f"/api/edge/bundles/{bundle.digest}", 404)
    for digest in (bundle.file, bundle.digest):
        with pytest.raises(Absent):
            lib.open_file(library.state, tenant, digest)
    with pytest.raises(Absent):
        lib.delta(library.state, tenant, bundle.digest, bundle.digest)
    with pytest.raises(Absent):
        library.propose("r1", bundle, name="south")
    # The same bytes are each tenant's own.
    library.upload(bundle, 201, who=south)
    south.ask("DELETE", f"/api/edge/bundles/{bundle.digest}", 204)
    assert library.hub.north.ask("GET", f"/api/edge/bundles/{bundle.digest}/download", 200).content == bundle.data


class Forged:
    def __init__(self, bundle, data):
        self.key, self.data = bundle.key, data


def changed(bundle, place):
    data = bytearray(bundle.data)
    data[place] ^= 1
    return bytes(data)


def renamed(bundle, name):
    """A signed manifest that names a file elsewhere."""
    manifest = bundle.files["manifest.json"].replace(b"evidence/report.json", name)
    return pack_files({**bundle.files, "manifest.json": manifest, "signature.json": sign(manifest, KIND, bundle.key)})


def bomb(bundle, size=2**36):
    """A signed manifest that promises a file far larger than what comes."""
    manifest = bundle.files["manifest.json"].replace(b'"size": 13', b'"size": %d' % size)
    assert manifest != bundle.files["manifest.json"]
    return pack_files({**bundle.files, "manifest.json": manifest, "signature.json": sign(manifest, KIND, bundle.key)})


def stated(bundle, size):
    """A header that states more bytes than there are."""
    block = bytearray(bundle.data[:BLOCK])
    block[124:135] = b"%011o" % size
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block) + bundle.data[BLOCK:]


FORGED = {
    "nothing": lambda b: b"",
    "no bundle": lambda b: b"PK\x03\x04" + bytes(4000),
    "cut in its manifest": lambda b: b.data[:700],
    "cut in a file": lambda b: b.data[: len(b.data) // 2],
    "cut at its end": lambda b: b.data[:-BLOCK],
    "longer": lambda b: b.data + bytes(BLOCK),
    "a manifest that was changed": lambda b: changed(b, BLOCK + 20),
    "a signature that was changed": lambda b: changed(b, b.data.index(b'"sig"') + 10),
    "a file that was changed": lambda b: changed(b, len(b.data) - 2 * BLOCK - 10),
    "path traversal": lambda b: renamed(b, b"../../../etc/passwd"),
    "absolute path": lambda b: renamed(b, b"/etc/edgewright.json"),
    "a file twice": lambda b: renamed(b, b"bom.cdx.json"),
    "bomb": bomb,
    "bomb in the header": lambda b: stated(b, 2**33 - 1),
    "manifest too long": lambda b: stated(b, 9 * 2**20),
}


def test_what_is_forged_is_refused_and_leaves_nothing(library, make):
    bundle = make()
    for what, forge in FORGED.items():
        told = library.upload(Forged(bundle, forge(bundle)), 422)
        assert told["detail"] and len(told["detail"]) < 600, what
        empty(library)


def test_a_bundle_of_another_signer_is_refused(library, make):
    for signer in (SigningKey.generate().public, "00" * 32, "ff" * 32):
        assert "signer" in library.upload(make(), 422, signer=signer)["detail"]
    library.upload(make(), 422, signer="zz")
    empty(library)


def test_a_manifest_under_a_second_signature_is_another_bundle(library, make):
    bundle, other = make(), SigningKey.generate()
    library.upload(bundle)
    again = Forged(
        bundle, pack_files({**bundle.files, "signature.json": sign(bundle.files["manifest.json"], KIND, other)})
    )
    again.key = other
    assert "another key" in library.upload(again, 409)["detail"]
    # Bytes behind a signature that holds: never taken for the bundle that is there.
    library.upload(Forged(bundle, bundle.data + bytes(BLOCK)), 409)
    assert library.hub.north.get("/api/edge/bundles")["items"][0]["signer"] == bundle.key.public.raw.hex()


def test_the_childs_answer_is_checked(library, make, monkeypatch):
    from edgewright.hub.library import facts

    bundle, real = make(), facts.run_child
    for change in (
        {"digest": "0" * 64}, {"name": "../x"}, {"version": 7}, {"files": {}}, {"engines": ["a b"]},
        {"files": {"manifest.json": ["0" * 64, 1, 0], "signature.json": ["0" * 64, 1, 0]}},
        {"files": {"manifest.json": [bundle.digest, 2**40, 0], "signature.json": ["0" * 64, 1, 0]}},
        {"files": {"manifest.json": [bundle.digest, -1, 0], "signature.json": ["0" * 64, 1, 0]}},
        {"more": 1},
    ):  # fmt: skip
        monkeypatch.setattr(facts, "run_child", lambda *a, _c=change, **k: {**real(*a, **k), **_c})
        library.upload(bundle, 422)
    empty(library)
    monkeypatch.setattr(facts, "run_child", lambda *a, **k: {**real(*a, **k), "evidence": {"a": ["\0"]}})
    assert library.upload(bundle)["evidence"] == {}


def test_an_idempotency_key_is_for_one_body(library, make):
    key = {"Idempotency-Key": "one upload and no other"}
    first = library.upload(make(), 201, headers=key)
    again = library.hub.north.ask(
        "POST", f"/api/edge/bundles?signer={make().key.public.raw.hex()}", 201, content=make().data, headers=key
    )
    assert again.json() == first and again.headers["Idempotent-Replayed"] == "true"
    assert "another request" in library.upload(make("1.0.1"), 422, headers=key)["detail"]
    assert len(library.hub.north.get("/api/edge/bundles")["items"]) == 1


class Wire:
    """An upload as the server hands it to the app: message by message, ended where one wants."""

    def __init__(self, library, pieces, *headers, ends=True):
        self.pieces, self.ends, self.sent = iter(pieces), ends, 0
        self.status, self.body, self.peak, self._over = None, b"", 0, False
        token = ("authorization", f"Bearer {library.hub.north.token}")
        self.scope = {
            "type": "http", "method": "POST", "path": "/api/edge/bundles", "raw_path": b"/api/edge/bundles",
            "query_string": b"signer=" + b"0" * 64, "scheme": "http", "server": ("hub", 80), "client": ("1.2.3.4", 5),
            "headers": [(k.encode(), v.encode()) for k, v in (token, *headers)], "http_version": "1.1",
        }  # fmt: skip

    async def receive(self):
        self.peak = max(self.peak, tracemalloc.get_traced_memory()[0])
        data = next(self.pieces, None)
        if data is not None:
            self.sent += len(data)
            return {"type": "http.request", "body": data, "more_body": True}
        if self.ends and not self._over:
            self._over = True
            return {"type": "http.request", "body": b"", "more_body": False}
        return {"type": "http.disconnect"}

    async def send(self, message):
        self.status = message.get("status", self.status)
        self.body += message.get("body", b"")


def test_an_upload_is_streamed(library):
    """Of 96 MiB never more than a few are in memory, with an idempotency key too, which used to want all of it."""
    wire = Wire(library, (bytes(2**16) for _ in range(1536)), ("idempotency-key", "streamed for sure"))
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        anyio.run(library.hub.app, wire.scope, wire.receive, wire.send)
        peak = tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()
    assert wire.status == 422 and wire.sent == 96 * 2**20
    assert peak < 16 * 2**20, peak
    empty(library)


def test_an_upload_that_breaks_off_leaves_nothing(library, make):
    data = make().data
    wire = Wire(library, [data[:5000], data[5000:7000]], ends=False)
    anyio.run(library.hub.app, wire.scope, wire.receive, wire.send)
    assert wire.status == 400 and b"broke off" in wire.body
    empty(library)


def test_an_upload_that_is_too_long_is_ended_early(library, monkeypatch):
    from edgewright.hub.library import uploads

    told = Wire(library, [b"x"], ("content-length", str(2 * 2**30 + 1)))
    anyio.run(library.hub.app, told.scope, told.receive, told.send)
    assert told.status == 413 and told.sent == 0
    monkeypatch.setattr(uploads, "MOST_BYTES", 2**20)
    wire = Wire(library, (bytes(2**16) for _ in range(1000)))
    anyio.run(library.hub.app, wire.scope, wire.receive, wire.send)
    assert wire.status == 413 and wire.sent == 17 * 2**16
    empty(library)


def test_other_bodies_below_bundles_are_short(library):
    answer = library.hub.north.ask("DELETE", f"/api/edge/bundles/{'0' * 64}", 413, content=bytes(2**20 + 1))
    assert "1,048,576" in answer.json()["detail"]


def test_a_tenant_has_some_uploads_at_once_and_no_more(library, make):
    from edgewright.hub.library.uploads import receiving

    tenant = library.hub.tenants["north"]
    with receiving(library.state, tenant), receiving(library.state, tenant), receiving(library.state, tenant):
        answer = library.hub.north.ask("POST", f"/api/edge/bundles?signer={'0' * 64}", 429, content=b"x")
        assert int(answer.headers["Retry-After"]) > 0
        library.upload(make(), who=library.hub.south)
    library.upload(make())


def test_a_full_disk_is_told_and_leaves_nothing(library, make, monkeypatch):
    def full(self, *_):
        raise StorageError("the disk is full; free some space and run again")

    from edgewright.hub.objects import Objects

    monkeypatch.setattr(Objects, "put", full)
    assert "full" in library.upload(make(), 503)["detail"]
    monkeypatch.undo()
    empty(library)
    library.upload(make())


def test_the_same_bundle_twice_at_once_is_one(library, make):
    bundle, statuses = make(), []

    def go():
        signer = bundle.key.public.raw.hex()
        answer = library.hub.north.ask("POST", f"/api/edge/bundles?signer={signer}", content=bundle.data)
        statuses.append(answer.status_code)

    threads = [threading.Thread(target=go) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [200, 200, 201]
    assert len(library.hub.north.get("/api/edge/bundles")["items"]) == 1
    sweep(library.state, library.state.clock(), (lib.named,))
    assert library.hub.north.ask("GET", f"/api/edge/bundles/{bundle.digest}/download", 200).content == bundle.data


def test_who_may_see_may_not_upload(library, make):
    viewer = library.hub.user("someone", "viewer")
    library.upload(make(), 403, who=viewer)
    library.upload(make())
    viewer.ask("DELETE", f"/api/edge/bundles/{make().digest}", 403)
    viewer.get(f"/api/edge/bundles/{make().digest}")


def test_what_is_removed_is_gone(library, make):
    first, second = make(), make("1.0.1")
    library.upload(first)
    library.upload(second)
    library.hub.north.ask("DELETE", f"/api/edge/bundles/{first.digest}", 204)
    library.hub.north.ask("DELETE", f"/api/edge/bundles/{first.digest}", 404)
    with pytest.raises(Absent):
        lib.open_file(library.state, library.hub.tenants["north"], first.file)
    shared = hashlib.sha256(first.files["evidence/report.json"]).hexdigest()
    assert lib.open_file(library.state, library.hub.tenants["north"], shared).length == 13
    library.upload(first)
