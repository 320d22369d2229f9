"""The client against a server that answers as it is told to."""

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from edgewright.client import Hub, Profile, Refusal, upload, uploads
from edgewright.client.hub import Unreachable
from edgewright.client.profile import place
from edgewright.core.errors import InputError

PROBLEM = {"type": "urn:edgewright:problem:conflict", "title": "t", "status": 409, "detail": "its name is taken"}


@contextmanager
def serving(*answers):
    """A server that gives these answers, (status, headers, body) each, in turn; the requests that came."""
    came, left = [], list(answers)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_):
            pass

        def answer(self):
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            came.append((self.command, self.path, dict(self.headers), body))
            status, headers, told = left.pop(0)
            if status == 0:
                self.close_connection = True  # it breaks in the middle
                return
            data = told if isinstance(told, bytes) else json.dumps(told).encode()
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(data))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer  # noqa: N815

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", came
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_pages_are_joined_and_the_token_goes_along():
    pages = ({"items": [1, 2], "next": "c"}, {"items": [3], "next": None})
    with serving(*((200, {}, page) for page in pages)) as (url, came), Hub(Profile(url, "tok")) as hub:
        assert list(hub.every("/devices", group="line 3", state=None)) == [1, 2, 3]
    assert [one[1] for one in came] == [
        "/api/edge/devices?limit=200&group=line+3", "/api/edge/devices?limit=200&group=line+3&cursor=c",
    ]  # fmt: skip
    assert all(one[2]["Authorization"] == "Bearer tok" for one in came)


def test_what_changes_something_is_sent_again_under_the_same_key():
    answers = ((0, {}, b""), (503, {"Retry-After": "0"}, PROBLEM), (201, {}, {"id": "r"}))
    with serving(*answers) as (url, came), Hub(Profile(url)) as hub:
        assert hub.post("/rollouts", {"name": "n"}) == {"id": "r"}
    keys = {one[2]["Idempotency-Key"] for one in came}
    assert len(came) == 3 and len(keys) == 1 and len({one[3] for one in came}) == 1


def test_a_long_wait_is_told_instead():
    with serving((429, {"Retry-After": "3600"}, PROBLEM)) as (url, _), Hub(Profile(url)) as hub, pytest.raises(Refusal):
        hub.get("/devices")


@pytest.mark.parametrize(
    ("status", "body", "kind", "told"),
    [
        (409, PROBLEM, Refusal, "its name is taken"),
        (422, {**PROBLEM, "errors": [{"where": "body/waves", "told": "no waves"}]}, Refusal, "^waves: no waves"),
        (401, PROBLEM, Refusal, "edgewright login http"),
        (502, b"<html>", Unreachable, "not as a hub does"),
        (200, b"<html>", Unreachable, "no JSON"),
    ],
)
def test_what_is_refused_says_why(status, body, kind, told):
    with serving((status, {}, body)) as (url, _), Hub(Profile(url, "tok")) as hub:
        with pytest.raises(kind, match=told) as caught:
            hub.get("/devices")
        assert caught.value.exit_status == (2 if status in (409, 422) else 1)


@pytest.mark.parametrize(
    ("url", "told"),
    [("ftp://a", "no hub"), ("https://a/path", "no hub"), ("nowhere", "no hub"), ("http://192.0.2.1:1", "without TLS")],
)
def test_no_hub(url, told):
    with pytest.raises(InputError, match=told):
        Hub(Profile(url))


def test_nobody_there():
    with Hub(Profile("http://127.0.0.1:9")) as hub, pytest.raises(Unreachable, match="does not answer"):
        hub.get("/devices")


def test_an_upload_is_the_files_bytes(tmp_path):
    path = tmp_path / "b.ewb"
    path.write_bytes(b"x" * 100_000)
    with serving((201, {}, {"digest": "d"})) as (url, came), Hub(Profile(url)) as hub:
        assert hub.upload("/bundles", path, signer="ab") == {"digest": "d"}
        with pytest.raises(InputError, match="cannot read"):
            hub.upload("/bundles", tmp_path / "absent")
    assert came[0][1] == "/api/edge/bundles?signer=ab" and came[0][3] == path.read_bytes()


def test_the_profile_is_kept_for_its_owner_alone(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.delenv("EDGEWRIGHT_HUB", raising=False)
    with pytest.raises(InputError, match="edgewright login"):
        Profile.load()
    made = Profile("https://hub:8443", "tok", "pem")
    assert "tok" not in repr(made)
    assert made.save() == place() and place().stat().st_mode & 0o777 == 0o600
    assert Profile.load() == made
    monkeypatch.setenv("EDGEWRIGHT_HUB", "http://127.0.0.1:1/")
    monkeypatch.setenv("EDGEWRIGHT_TOKEN", "other")
    assert Profile.load() == Profile("http://127.0.0.1:1", "other")
    place().write_text("{}")
    monkeypatch.delenv("EDGEWRIGHT_HUB")
    with pytest.raises(InputError, match="log in again"):
        Profile.load()


def test_a_file_is_brought_part_by_part_and_gone_on_with_where_it_broke_off(tmp_path, monkeypatch):
    monkeypatch.setattr(uploads, "PART_BYTES", 4)
    monkeypatch.setattr(uploads, "_LOOK_S", 0.0)
    (tmp_path / "d.npz").write_bytes(b"0123456789")
    problem = {**PROBLEM, "detail": "the upload goes on at byte 4"}
    there = {"offset": 10, "result": "dat_1"}
    answers = [
        (201, {}, {"id": "upl_1"}),
        (0, {}, b""), (409, {}, problem), (200, {}, {"offset": 4}),  # it came, and its answer did not
        (204, {}, b""), (200, {}, {"offset": 8}), (204, {}, b""), (200, {}, there), (200, {}, there),
        (200, {}, {"state": "checking"}), (200, {}, {"state": "ready", "id": "dat_1"}),
    ]  # fmt: skip
    seen = []
    with serving(*answers) as (url, came), Hub(Profile(url, "tok")) as hub:
        found = upload(hub, tmp_path / "d.npz", lambda done, total: seen.append((done, total)), dataset="digits")
    assert found["id"] == "dat_1" and seen == [(0, 10), (4, 10), (8, 10), (10, 10)]
    parts = [(headers["Upload-Offset"], body) for method, _, headers, body in came if method == "PATCH"]
    assert parts == [("0", b"0123"), ("0", b"0123"), ("4", b"4567"), ("8", b"89")]
    assert "dataset ZGlnaXRz" in came[0][2]["Upload-Metadata"]


def test_what_the_hub_refused_is_told(tmp_path):
    (tmp_path / "d.npz").write_bytes(b"0123456789")
    there = {"offset": 10, "result": "dat_1"}
    refused = {"state": "refused", "reason": "it is no .npz file"}
    answers = [(201, {}, {"id": "upl_1"}), (204, {}, b""), (200, {}, there), (200, {}, there), (200, {}, refused)]
    with (
        serving(*answers) as (url, _),
        Hub(Profile(url, "tok")) as hub,
        pytest.raises(InputError, match="is no"),
    ):
        upload(hub, tmp_path / "d.npz", dataset="digits")
    with pytest.raises(InputError, match="cannot read"):
        upload(Hub(Profile("http://127.0.0.1:1", "")), tmp_path / "nothing.npz", dataset="digits")
