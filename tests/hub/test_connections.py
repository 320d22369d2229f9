"""The people's listener: what may be begun without a credential comes to an end."""

import contextlib
import socket
import ssl
import threading
import time

import pytest
import uvicorn

from edgewright.core.errors import InputError
from edgewright.hub import serving
from edgewright.hub.serving import Address, bind
from edgewright.hub.web import connections, door

HEAD = b"POST / HTTP/1.1\r\nHost: x\r\n"


async def app(scope, receive, send):
    """Answers how many bytes the body had; /much with more than anybody holds who does not read."""
    if scope["path"] == "/much":
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % 2**30)]})
        for _ in range(2**10):
            await send({"type": "http.response.body", "body": bytes(2**20), "more_body": True})
        await send({"type": "http.response.body"})
        return
    count, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        count, more = count + len(message.get("body", b"")), message.get("more_body", False)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"8")]})
    await send({"type": "http.response.body", "body": b"%8d" % count})


@contextlib.contextmanager
def listening(**more):
    """New connections to a listener such as people have."""
    at, ready, made = bind(Address("127.0.0.1", 0)), threading.Event(), []
    settings = uvicorn.Config(app, http=connections.Connection, ws="none", lifespan="off", log_config=None, **more)
    server = serving._Server(settings, ready.set, lambda: None, threading.Event())
    thread = threading.Thread(target=server.run, kwargs={"sockets": [at]})
    thread.start()
    assert ready.wait(30)

    def connect():
        made.append(socket.create_connection(at.getsockname(), 30))
        return made[-1]

    connect.held = lambda: len(server.server_state.connections)
    yield connect
    for one in made:
        one.close()
    server.should_exit = True
    thread.join()


@pytest.fixture
def raw():
    with listening() as connect:
        yield connect


@pytest.fixture
def tls():
    with listening(ssl_context_factory=lambda *_: ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)) as connect:
        yield connect


@pytest.mark.parametrize(("name", "loopback"), [("MOST", True), ("MOST_EACH", False)])
def test_connections_are_bounded_in_number(raw, monkeypatch, name, loopback):
    monkeypatch.setattr(door, name, 3)
    monkeypatch.setattr(door, "_local", lambda host: loopback)
    asked = HEAD + b"Content-Length: 2\r\n\r\nab"
    held = [raw() for _ in range(3)]
    for one in held:
        one.sendall(asked)
        assert one.recv(1000).startswith(b"HTTP/1.1 200")
    more = raw()
    with contextlib.suppress(OSError):
        more.sendall(asked)
    with contextlib.suppress(ConnectionResetError):
        assert more.recv(1000) == b""
    held[0].close()
    while True:  # that it is closed is known a moment later
        again = raw()
        with contextlib.suppress(OSError):
            again.sendall(asked)
            if again.recv(1000):
                break


@pytest.mark.parametrize(
    "begun",
    [
        HEAD + b"X: ", HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\nX: ",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n1;",
    ],
)  # fmt: skip
def test_what_is_no_body_is_bounded(raw, begun):
    one = raw()
    one.sendall(begun)
    with pytest.raises(OSError):
        for _ in range(1_000):
            one.sendall(b"x" * 40_000)


def test_half_a_head_and_half_a_body_are_given_up(raw, monkeypatch):
    monkeypatch.setattr(connections, "HEAD_S", 0.2)
    monkeypatch.setattr(connections, "BODY_S", 0.2)
    silent, head, body = raw(), raw(), raw()
    head.sendall(HEAD)
    body.sendall(HEAD + b"Content-Length: 9\r\n\r\n{")
    for one in (silent, head, body):
        with contextlib.suppress(ConnectionResetError):
            assert one.recv(99) == b""


def test_who_never_reads_is_given_up_and_who_reads_slowly_is_not(raw, monkeypatch):
    monkeypatch.setattr(connections, "STUCK_S", 1.0)
    asked = b"GET /much HTTP/1.1\r\nHost: x\r\n\r\n"
    one, other = raw(), raw()
    for each in (one, other):
        each.sendall(asked)
    got, head = 0, len(other.recv(2**16, socket.MSG_PEEK).partition(b"\r\n\r\n")[0]) + 4
    while got < 2**30 + head:
        got += len(more := other.recv(2**20))
        assert more, "who reads is answered"
    other.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    assert other.recv(999).startswith(b"HTTP/1.1 200"), "its connection goes on"
    ended = time.monotonic() + 30
    while raw.held() > 1:
        assert time.monotonic() < ended, "it is held for as long as it likes"


def test_handshakes_that_do_not_go_on_count_and_are_given_up(tls, monkeypatch):
    monkeypatch.setattr(door, "MOST_EACH", 2)
    monkeypatch.setattr(door, "_local", lambda host: False)
    monkeypatch.setattr(door, "HANDSHAKE_S", 0.5)
    silent = [tls() for _ in range(2)]
    more = tls()
    with contextlib.suppress(ConnectionResetError):
        assert more.recv(99) == b"", "one too many"
    for one in silent:
        with contextlib.suppress(ConnectionResetError):
            assert one.recv(99) == b"", "it was given up"
    more = tls()
    more.settimeout(0.1)
    with pytest.raises(TimeoutError):
        more.recv(99)


def test_a_large_body_in_small_chunks_comes_through(raw):
    one = raw()
    one.sendall(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
    for _ in range(200):
        one.sendall(b"1\r\nx\r\n" * 1_000)
    one.sendall(b"0\r\nX-Sum: a\r\n\r\n")
    answer = b""
    while not answer.endswith(b"  200000"):
        answer += (got := one.recv(999))
        assert got
    one.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    assert one.recv(999).startswith(b"HTTP/1.1 200")


def test_a_slow_body_is_not_bound_in_all(monkeypatch):
    """Each piece of a body starts its time anew, for people; devices have one time for a body."""

    class Loop:
        now = 0.0

        def time(self):
            return self.now

    class Flow:
        read_paused = write_paused = False

    for slow in (True, False):
        monkeypatch.setattr(connections.Connection, "slow_bodies", slow)
        loop = Loop()
        config = uvicorn.Config(app, lifespan="off", log_config=None)
        one = connections.Connection(config, uvicorn.server.ServerState(), {}, _loop=loop)
        one.flow, one._in_head = Flow(), False
        one.cycle = type("Cycle", (), {"response_complete": True, "waiting_for_100_continue": False})()
        loop.now = 100.0
        one.on_body(b"x")
        assert one.overdue(130.0) is not slow
        assert one.overdue(100.0 + connections.BODY_S + 1)
        one.flow.read_paused = True
        assert not one.overdue(500.0)


def test_a_port_in_use_is_refused():
    with bind(Address("127.0.0.1", 0)) as first, pytest.raises(InputError, match="another program listens"):
        bind(Address("127.0.0.1", first.getsockname()[1]))
