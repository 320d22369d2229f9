"""Uploads: any number of requests, cuts in the middle, two at once, other tenants, and what is refused at the door."""

import asyncio
from contextlib import ExitStack

import pytest

from edgewright.core.errors import Unavailable
from edgewright.hub import models
from edgewright.hub.app import make_app
from edgewright.hub.models import uploads as module
from edgewright.hub.models.tables import Part, Upload
from edgewright.hub.objects import objects, sweep


@pytest.fixture
def file(make):
    return make.onnx(width=512).SerializeToString()


@pytest.fixture
def place(uploads, file):
    return uploads.begin(file, filename="digits.onnx", model=uploads.model()).headers["Location"]


def test_a_file_comes_in_pieces_of_any_size(uploads, place, file, monkeypatch):
    monkeypatch.setattr(module, "PART_BYTES", 1000)
    assert uploads.offset(place) == 0
    at = 0
    for size in (1, 999, 2500, len(file) - 3500):
        uploads.send(place, file[at : at + size], at)
        at += size
        assert uploads.offset(place) == at
    uploads.check()
    found = uploads.result(place)
    assert found["state"] == "ready" and found["length"] == len(file) and found["number"] == 1
    assert uploads.hub.north.ask("GET", f"/api/edge/versions/{found['id']}/download", 200).content == file


def test_every_answer_speaks_tus(uploads, place, file):
    north = uploads.hub.north
    told = uploads.hub.nobody.ask("OPTIONS", "/api/edge/uploads", 204)
    assert told.headers["Tus-Version"] == "1.0.0" and "creation" in told.headers["Tus-Extension"]
    head = north.ask("HEAD", place, 200)
    assert head.headers["Upload-Length"] == str(len(file)) and head.headers["Upload-Expires"].endswith("GMT")
    assert head.headers["Tus-Resumable"] == "1.0.0" and head.headers["Cache-Control"] == "no-store"
    assert uploads.send(place, file[:10], 0).headers["Upload-Offset"] == "10"
    for refused in (uploads.hub.nobody.ask("HEAD", place, 401), north.ask("HEAD", place[:-1] + "0", 404)):
        assert refused.headers["Tus-Resumable"] == "1.0.0"


def test_an_upload_that_is_begun_again_with_its_key_is_at_the_same_place(uploads, file):
    headers = {
        "Idempotency-Key": "the first of two", "Upload-Length": str(len(file)), "Tus-Resumable": "1.0.0",
        "Upload-Metadata": uploads.metadata(filename="digits.onnx", model=uploads.model()),
    }  # fmt: skip
    once, again = (uploads.hub.north.ask("POST", "/api/edge/uploads", 201, headers=headers) for _ in range(2))
    assert again.headers["Idempotent-Replayed"] == "true" and again.json() == once.json()
    for name in ("Location", "Tus-Resumable"):
        assert again.headers[name] == once.headers[name]


def test_what_came_before_a_cut_is_kept(uploads, place, file, hub):
    """The client's line breaks in the middle of a request; another worker goes on."""
    sent, messages = file[:3000], []

    async def receive():
        messages.append(1)
        if len(messages) == 1:
            return {"type": "http.request", "body": sent, "more_body": True}
        return {"type": "http.disconnect"}

    async def send(_):
        pass

    headers = [
        (b"authorization", f"Bearer {hub.north.token}".encode()), (b"upload-offset", b"0"),
        (b"content-type", b"application/offset+octet-stream"),
    ]  # fmt: skip
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "PATCH", "path": place,
        "raw_path": place.encode(), "query_string": b"", "root_path": "", "scheme": "http", "headers": headers,
        "client": ("127.0.0.1", 1), "server": ("hub", 80),
    }  # fmt: skip
    asyncio.run(hub.app(scope, receive, send))
    assert uploads.offset(place) == 3000
    hub.north.client.app = make_app(hub.state)
    uploads.send(place, file[3000:], 3000)
    uploads.check()
    assert uploads.result(place)["state"] == "ready"


def test_of_two_who_bring_the_same_bytes_one_is_told_where_to_go_on(uploads, place, file, monkeypatch):
    first = module.objects

    def late(state):
        monkeypatch.setattr(module, "objects", first)  # while our bytes are being stored, others bring them
        uploads.send(place, file[:100], 0)
        return first(state)

    monkeypatch.setattr(module, "objects", late)
    refused = uploads.send(place, file[:200], 0, status=409)
    assert "goes on at byte 100" in refused.json()["detail"]
    assert uploads.offset(place) == 100


@pytest.mark.parametrize(
    ("offset", "status", "says"), [(5, 409, "goes on at byte 0"), (-1, 422, ""), (2**60, 422, "")]
)  # fmt: skip
def test_bytes_go_where_they_belong(uploads, place, offset, status, says):
    assert says in uploads.send(place, b"x", offset, status=status).text


def test_bytes_beyond_the_length_are_refused(uploads, place, file):
    uploads.send(place, file + b"x", 0, status=413)
    assert uploads.offset(place) == 0
    uploads.send(place, b"x", 0, status=415, kind="application/octet-stream")


@pytest.mark.parametrize(
    ("metadata", "length", "says"),
    [
        ({"filename": "a.onnx", "dataset": "d"}, 10, "a dataset comes as .npz, .zip"),
        ({"filename": "a.pkl", "model": "MODEL"}, 10, "skops.io.dump"),
        ({"filename": "a.onnx", "model": "MODEL"}, 0, "empty"),
        ({"filename": "a.onnx", "model": "MODEL"}, 2**43, "at most 8,589,934,592 bytes"),
        ({"filename": "a\nb.onnx", "model": "MODEL"}, 10, "cannot be printed"),
        ({"filename": "", "model": "MODEL"}, 10, "filename"),
        ({"model": "MODEL"}, 10, "filename: Field required"),
        ({"filename": "a.onnx"}, 10, "names a model (an id) or a dataset (a name)"),
        ({"filename": "a.onnx", "model": "MODEL", "dataset": "d"}, 10, "names a model (an id) or a dataset"),
        ({"filename": "a.onnx", "model": "MODEL", "colour": "red"}, 10, "colour"),
        ({"filename": "a.onnx", "model": "MODEL", "sha256": "red"}, 10, "sha256"),
        ({"filename": "a.npz", "dataset": "d", "reading": "{"}, 10, "Upload-Metadata"),
        ({"filename": "a.npz", "dataset": "d", "reading": '{"missing": "maybe"}'}, 10, "reading/missing"),
        ({"filename": "a.npz", "dataset": "d", "reading": '{"preprocessing": {"size": "x"}}'}, 10, "size"),
    ],
)
def test_what_is_refused_before_a_byte_comes(uploads, metadata, length, says):
    model = uploads.model()
    metadata = {key: model if value == "MODEL" else value for key, value in metadata.items()}
    assert says in uploads.begin(length, 422, **metadata).json()["detail"]
    assert uploads.hub.north.get("/api/edge/uploads")["items"] == []


def test_headers_that_are_none(uploads):
    north = uploads.hub.north
    told = {"Upload-Length": "1", "Upload-Metadata": "a !"}
    for headers in ({}, told, {**told, "Upload-Length": "x"}):
        north.ask("POST", "/api/edge/uploads", 422, headers=headers)


def test_a_path_in_a_name_is_left_out(uploads):
    model = uploads.model()
    made = uploads.begin(10, filename="C:\\models\\..\\../etc/a.onnx", model=model).json()
    assert made["filename"] == "a.onnx"


def test_another_tenant_cannot_go_on_with_it(uploads, place, file, hub):
    uploads.send(place, file[:10], 0)
    uploads.send(place, file[10:], 10, status=404, who=hub.south)
    hub.south.ask("HEAD", place, 404)
    hub.south.ask("DELETE", place, 404)
    uploads.begin(10, 404, who=hub.south, filename="a.onnx", model=hub.north.get("/api/edge/models")["items"][0]["id"])
    assert uploads.offset(place) == 10


def test_one_that_is_given_up_leaves_nothing(uploads, place, file, hub, clock):
    uploads.send(place, file[:1000], 0)
    hub.north.ask("DELETE", place, 204)
    hub.north.ask("HEAD", place, 404)
    clock.go_on(days=3)
    sweep(hub.state, clock(), (models.named,))
    assert list(objects(hub.state).list(hub.tenants["north"])) == []


def test_one_that_nobody_goes_on_with_is_forgotten(uploads, place, file, hub, clock):
    uploads.send(place, file[:1000], 0)

    def later(days):
        clock.go_on(days=days)
        models.resume(hub.state, clock())
        hub.north = hub.log_in_again("north")

    later(6)
    uploads.send(place, file[1000:1001], 1000)  # so it is kept for another week
    later(6)
    assert uploads.offset(place) == 1001
    later(2)
    hub.north.ask("HEAD", place, 404)
    with hub.state.database.read(hub.tenants["north"]) as session:
        assert session.query(Part).count() == session.query(Upload).count() == 0


def test_parts_are_removed_once_they_were_joined(uploads, place, file, hub, clock):
    uploads.send(place, file, 0)
    uploads.check()
    clock.go_on(days=3)
    sweep(hub.state, clock(), (models.named,))
    hub.north = hub.log_in_again("north")
    left = {one.name.partition("/")[0] for one in objects(hub.state).list(hub.tenants["north"])}
    assert left == {"models"}
    assert uploads.offset(place) == len(file)  # a client that did not hear the last answer
    assert "it is whole" in hub.north.ask("DELETE", place, 409).json()["detail"]


def test_a_disk_without_room_is_told_before_it_is_full(uploads, monkeypatch):
    import edgewright.hub.models.routes_uploads as routes

    monkeypatch.setattr(routes, "free_bytes", lambda state: 10**9)
    refused = uploads.begin(10**6, 503, filename="a.npz", dataset="d")
    assert "1,000,000,000 bytes left" in refused.json()["detail"] and refused.headers["Retry-After"]


def test_a_model_that_is_removed_takes_its_uploads_along(uploads, file):
    model = uploads.model()
    place = uploads.begin(file, filename="digits.onnx", model=model).headers["Location"]
    uploads.hub.north.ask("DELETE", f"/api/edge/models/{model}", 204)
    uploads.hub.north.ask("HEAD", place, 404)
    uploads.send(place, file, 0, 404)


def test_who_uploads_more_at_once_than_may_is_told_to_wait(uploads, place, file):
    with ExitStack() as held:
        for _ in range(module._OF_ONE):
            held.enter_context(module.receiving(uploads.state, uploads.hub.tenants["north"]))
        assert int(uploads.send(place, file, 0, 429).headers["Retry-After"]) > 0
        for number in range(module._AT_ONCE - module._OF_ONE):
            held.enter_context(module.receiving(uploads.state, str(number)))
        with pytest.raises(Unavailable), module.receiving(uploads.state, "another"):
            pass
    uploads.send(place, file, 0)
