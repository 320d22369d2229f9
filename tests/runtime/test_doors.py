"""At the door: clients for whom there is no room, and those who speak TLS where it is not spoken or the other way."""

import http.client
import json
import socket
import ssl

import numpy as np
import pytest

from edgewright.formats import save
from edgewright.runtime import logs
from edgewright.runtime.addresses import Address
from edgewright.runtime.client import Client, Unanswered
from edgewright.runtime.config import Config
from edgewright.runtime.lanes import connections
from edgewright.runtime.lanes.limits import Limits
from edgewright.runtime.lanes.tls import Certificate
from edgewright.runtime.loading.opening import Settings
from edgewright.runtime.safety import Safety
from edgewright.runtime.server import Server, serving
from edgewright.testing.build import Build
from edgewright.testing.certificates import make_certificate

LONG = 60.0
X = np.arange(8, dtype=np.float32).reshape(2, 4)
LIVE = b"GET /v2/health/live HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.fixture
def started(tmp_path):
    """Starts a server over one model, at a TCP address and a Unix socket."""
    build = Build()
    build.output(build.node("Mul", build.input("x", ["n", 4]), build.constant(np.float32(2))), ["n", 4])
    save(build.model(), tmp_path / "made")
    running = []

    def start(safety=None, **limits):
        addresses = [Address(port=0, tls=safety is not None), Address(path=tmp_path / "s")]
        settings = Settings(tmp_path / "made" / "model.onnx", config=Config(limits=Limits(**limits)))
        server = Server(settings, addresses, safety)
        running.append((server, serving(server)))
        return server

    yield start
    for server, thread in running:
        server.stop()
        thread.join(LONG)
        assert not thread.is_alive()


def talk(server, data=b""):
    sock = socket.create_connection((server.addresses[0].host, server.addresses[0].port), LONG)
    sock.sendall(data)
    return sock


def ends(sock):
    """All that comes until the server closes."""
    found = b""
    try:
        while piece := sock.recv(65536):
            found += piece
    except ConnectionResetError:
        found += b"(reset)"
    return found


def held(server, count):
    """So many connections that were let in, and are kept."""
    found = [talk(server, LIVE) for _ in range(count)]
    assert all(sock.recv(100).startswith(b"HTTP/1.1 200") for sock in found)
    return found


def ask(connection, method, target, body=None):
    connection.request(method, target, body)
    answer = connection.getresponse()
    return answer.status, json.loads(answer.read()), answer.headers


@pytest.mark.parametrize("limits", [{"connections": 2}, {"connections_per_address": 2}])
def test_whom_there_is_no_room_for_is_told_so(started, limits):
    server = started(**limits)
    kept = held(server, 2)
    late = http.client.HTTPConnection(server.addresses[0].host, server.addresses[0].port, timeout=LONG)
    status, told, headers = ask(late, "POST", "/v2/models/model/infer", b"0" * 1_000_000)
    assert status == 503 and headers["Retry-After"] == "1" and headers["Connection"] == "close"
    assert "as many connections are open" in told["error"]
    late.close()
    kept.pop().close()
    while True:  # until it has seen that one is gone
        with talk(server, LIVE) as sock:
            if sock.recv(100).startswith(b"HTTP/1.1 200"):
                break
    for sock in kept:
        sock.close()


def test_over_tls_and_in_frames_too(started, tmp_path):
    chain, key = make_certificate(tmp_path)
    server = started(Safety(Certificate(chain, key)), connections=1)
    with Client(tmp_path / "s") as kept:
        assert kept.infer({"x": X}) is not None
        with Client(tmp_path / "s") as late, pytest.raises(Unanswered, match="as many connections are open") as caught:
            late.infer({"x": X})
        assert caught.value.status == 503
        context = ssl.create_default_context(cafile=chain)
        place = (server.addresses[0].host, server.addresses[0].port)
        late = http.client.HTTPSConnection(*place, timeout=LONG, context=context)
        assert ask(late, "GET", "/v2/health/live")[0] == 503
        late.close()


def test_a_crowd_gains_nothing(started):
    server = started(connections=1)
    (kept,) = held(server, 1)
    crowd = [talk(server) for _ in range(connections._TOLD)]  # these say nothing
    with talk(server) as last:
        assert ends(last) in (b"", b"(reset)"), "one too many to be told"
    assert all(not ends(sock) for sock in crowd), "they are not waited for"
    with talk(server, LIVE) as sock:
        assert sock.recv(100).startswith(b"HTTP/1.1 503"), "and others are told again"
    kept.sendall(LIVE)
    assert kept.recv(100).startswith(b"HTTP/1.1 200")
    for sock in (kept, *crowd):
        sock.close()


def rejected(server):
    """What was turned away, by reason, as ``/metrics`` tells it."""
    page = server._routes._metrics.reply()[2].decode()
    told = [line.partition('reason="')[2] for line in page.splitlines() if "_rejected_total{" in line]
    return {line.partition('"')[0]: int(line.rpartition(" ")[2]) for line in told}


def test_https_on_the_http_port_is_refused_at_once_and_said_in_the_log(started, caplog):
    server = started()
    with caplog.at_level("WARNING", logs.LOG.name):
        context = ssl.create_default_context()
        with talk(server) as sock, pytest.raises(ssl.SSLError):
            context.wrap_socket(sock, server_hostname="localhost")
        with talk(server, b"\x16") as sock:  # one byte is enough
            said = ends(sock)
        assert said.startswith(b"HTTP/1.1 400 ") and b"this port speaks http, not https" in said
        server._watch.tell()
    assert rejected(server) == {"https on an http port": 2}
    assert "were turned away (https on an http port: " in caplog.text


def test_http_on_the_https_port_is_said_in_the_log(started, tmp_path, caplog):
    server = started(Safety(Certificate(*make_certificate(tmp_path))))
    with caplog.at_level("WARNING", logs.LOG.name):
        with talk(server, LIVE) as sock:
            said = ends(sock)
        assert said.startswith(b"HTTP/1.1 400 ") and b"this port speaks https, not http" in said
        server._watch.tell()
    assert "were turned away (http on an https port: 1)" in caplog.text
