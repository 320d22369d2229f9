"""Heads of requests: what two readers could read differently is refused, and the rest is read as RFC 9112 has it."""

import json
import socket

import pytest

from edgewright.runtime.faults import NotFound, fault_json
from edgewright.runtime.lanes.heads import BadHead, read_head
from edgewright.runtime.lanes.http import fault_reply
from edgewright.runtime.lanes.limits import Limits

LIMITS = Limits()
START = b"POST /v2/models/m/infer HTTP/1.1\r\n"


def head(*lines, start=START, host=b"Host: a"):
    return read_head(start + b"".join(line + b"\r\n" for line in (host, *lines) if line) + b"\r\n", LIMITS)


@pytest.mark.parametrize(
    "lines",
    [
        [b"Content-Length: 5", b"Content-Length: 5"],
        [b"Content-Length: 5, 5"],
        [b"Content-Length: +5"],
        [b"Content-Length: -5"],
        [b"Content-Length: 5_0"],
        [b"Content-Length: 0x5"],
        [b"Content-Length: 1 5"],
        [b"Content-Length:"],
        ["Content-Length: ²".encode("latin-1")],
        [b"Content-Length: \xa05"],
        [b"Content-Length: 99999999999999999999"],
        [b"Content-Length: 5", b"Transfer-Encoding: chunked"],
        [b"Transfer-Encoding: chunked", b"Content-Length: 5"],
        [b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"],
        [b"Transfer-Encoding: chunked, identity"],
        [b"Transfer-Encoding: xchunked"],
        [b"Transfer-Encoding: \x0bchunked"],
        [b"Transfer-Encoding: chunked\x85"],
        [b"Transfer-Encoding:\r\n chunked"],
        [b"Transfer-Encoding : chunked"],
        [b"Transfer-Encoding\t: chunked"],
        [b"A: b\nContent-Length: 5"],
        [b"A: b\rContent-Length: 5"],
        [b"A: b\r\n c"],
        [b"A: \0"],
        [b"A\0: b"],
        [b": b"],
        [b"no colon"],
        [b"Host: b"],
    ],
)
def test_what_smuggles_is_refused(lines):
    with pytest.raises(BadHead) as caught:
        head(*lines)
    assert caught.value.status == 400


@pytest.mark.parametrize(
    ("start", "host", "status"),
    [
        (b"GET /v2 HTTP/2.0\r\n", b"Host: a", 505),
        (b"PRI * HTTP/2.0\r\n", b"", 505),
        (b"GET /v2 HTTP/0.9\r\n", b"", 505),
        (b"GET /v2\r\n", b"", 505),
        (b"GET /v2 HTTP/1.2\r\n", b"Host: a", 400),
        (b"FROB /v2 HTTP/1.1\r\n", b"Host: a", 400),
        (b"get /v2 HTTP/1.1\r\n", b"Host: a", 400),
        (b"GET /v2/a b HTTP/1.1\r\n", b"Host: a", 400),
        (b"GET /v2/\xc3\xa9 HTTP/1.1\r\n", b"Host: a", 400),
        (b"GET /v2\0 HTTP/1.1\r\n", b"Host: a", 400),
        (b"HTTP/1.1 200 OK\r\n", b"Host: a", 400),
        (b"GET /v2 HTTP/1.1\r\n", b"", 400),
        (b"GET /v2 HTTP/1.1\r\n", b"Host: a b", 400),
        (b"GET /v2 HTTP/1.1\r\n", b"Host: a/b", 400),
        (b"GET /v2 HTTP/1.1\r\n", b"Host: user@a", 400),
        (b"GET http://a b/v2 HTTP/1.1\r\n", b"Host: a", 400),
        (b"GET http://user@a/v2 HTTP/1.1\r\n", b"Host: a", 400),
    ],
)
def test_what_is_no_request_is_refused(start, host, status):
    with pytest.raises(BadHead) as caught:
        head(start=start, host=host)
    assert caught.value.status == status


@pytest.mark.parametrize(
    ("target", "host", "path"),
    [
        (b"http://b:80/v2?x=1", "b:80", "/v2?x=1"),
        (b"HTTPS://b/v2", "b", "/v2"),
        (b"http://b", "b", "/"),
        (b"/v2#odd", "a", "/v2#odd"),
        (b"*", "a", "*"),
    ],
)
def test_a_target_may_name_the_host_which_then_counts(target, host, path):
    found = head(start=b"OPTIONS " + target + b" HTTP/1.1\r\n")
    assert (found.headers["host"], found.target) == (host, path)


def test_a_client_of_http_1_0():
    old = START.replace(b"1.1", b"1.0")
    found = head(b"Content-Length: 5", b"Expect: 100-continue", start=old, host=b"")
    assert found.length == 5 and not found.alive and "expect" not in found.headers
    assert head(b"Connection: keep-alive", start=old, host=b"").alive
    with pytest.raises(BadHead, match="no Transfer-Encoding"):
        head(b"Transfer-Encoding: chunked", start=old, host=b"")


def test_only_spaces_and_tabs_are_no_part_of_a_value():
    assert head(b"A: \t b\xa0 \t").headers["a"] == "b\xa0"


def test_a_fault_says_no_more_than_a_sentence():
    long = "x" * 10**6
    for body in (fault_json(long), fault_reply(400, long)[2]):
        assert len(body) < 1100 and json.loads(body)["error"].endswith("x...")
    assert json.loads(fault_json("ü\ud800"))["error"] == "ü\ud800"


NAMES = ["..%2F..%2Fetc%2Fpasswd", "%2e%2e", "a%00b", "%ff", "%F0%9F%92%A9", "m%20", "%2Bm", "x" * 8000,
         "m/versions/1%20", "m/versions/+1", "m/versions/%2B1", "m/versions/..", "m/versions/1%00"]  # fmt: skip


@pytest.fixture(scope="module")
def started(tmp_path_factory):
    from edgewright.formats import save
    from edgewright.runtime.addresses import Address
    from edgewright.runtime.loading.opening import Settings
    from edgewright.runtime.server import Server, serving
    from edgewright.testing.build import Build

    place = tmp_path_factory.mktemp("started")
    build = Build()
    build.output(build.node("Identity", build.input("x", ["n"])), ["n"])
    save(build.model(), place / "made")
    (place / "models").mkdir()
    (place / "made" / "model.onnx").rename(place / "models" / "m.onnx")
    (place / "secret.onnx").write_bytes((place / "models" / "m.onnx").read_bytes())
    server = Server(Settings(place / "models"), [Address(port=0)])
    thread = serving(server)
    yield server
    server.stop()
    thread.join(60)


def said(server, data):
    with socket.create_connection((server.addresses[0].host, server.addresses[0].port), 60) as sock:
        sock.sendall(data)
        return b"".join(iter(lambda: sock.recv(65536), b""))


@pytest.mark.parametrize("name", [*NAMES, "..%2Fsecret", "secret"])
@pytest.mark.parametrize(
    "path", ["GET /v2/models/%s", "POST /v2/models/%s/infer", "POST /v2/repository/models/%s/load"]
)
def test_names_that_are_none(started, name, path):
    if "load" in path:
        name = name.partition("/")[0] if not name.startswith("m/") else "n"
    body = '{"inputs":[{"name":"x","shape":[1],"datatype":"FP32","data":[1]}]}' if "infer" in path else ""
    lines = f"{path % name} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n"
    told = said(started, (lines + body).encode())
    assert told.startswith(b"HTTP/1.1 404 ") and len(told) < 1500, told
    with pytest.raises(NotFound):
        started.repository.find("secret")


@pytest.mark.parametrize(
    ("method", "target", "status"),
    [
        ("OPTIONS", "*", 404), ("OPTIONS", "/v2", 405), ("CONNECT", "localhost:80", 404), ("TRACE", "/v2", 405),
        ("HEAD", "/v2", 200), ("HEAD", "/v2/models/m/infer", 405), ("DELETE", "/v2/models/m", 405),
        ("GET", "http://localhost/v2/health/live", 200), ("GET", "http://evil.example/v2", 421),
    ],
)  # fmt: skip
def test_other_methods_and_forms(started, method, target, status):
    told = said(started, f"{method} {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
    assert told.startswith(b"HTTP/1.1 %d " % status) and (method != "HEAD" or told.endswith(b"\r\n\r\n"))


def test_close_in_the_middle_ends_what_was_pipelined(started):
    get = "GET /v2/health/live HTTP/1.1\r\nHost: localhost\r\n%s\r\n"
    told = said(started, (get % "" * 3 + get % "Connection: close\r\n" + get % "" * 3).encode())
    assert told.count(b"HTTP/1.1 200") == 4 and told.count(b"Connection: close") == 1


@pytest.mark.parametrize("size", [20_000, 2_000_000])
def test_what_the_small_calls_are_told_is_small(started, size):
    body = b'{"ready":true' + b" " * size + b"}"
    post = b"POST /v2/repository/index HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: %d\r\n\r\n"
    told = said(started, post % len(body) + body)
    assert told.startswith(b"HTTP/1.1 400 ") and b"more than the 16,384 allowed" in told
