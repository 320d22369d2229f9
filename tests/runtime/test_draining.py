"""The end of a server: whoever was heard gets a whole answer, nobody a reset. And replies that do not fit."""

import http.client
import json
import logging
import socket
import threading

import numpy as np
import pytest

from edgewright.formats import save
from edgewright.runtime import logs
from edgewright.runtime.addresses import Address
from edgewright.runtime.config import Config
from edgewright.runtime.lanes.frames import HEADER, INFER, MAGIC
from edgewright.runtime.lanes.limits import Limits
from edgewright.runtime.loading.loader import Settings
from edgewright.runtime.server import Server, serving
from edgewright.testing.build import Build

LONG = 60.0
TOLD = json.dumps({"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 4], "data": [1, 2, 3, 4]}]}).encode()


@pytest.fixture
def running(tmp_path):
    """Starts a server over one model, at a TCP address and a Unix socket."""
    threads = []

    def start(limits=None):
        build = Build()
        build.output(build.node("Mul", build.input("x", ["n", 4]), build.constant(np.float32(2))), ["n", 4])
        save(build.model(), tmp_path / "made")
        (tmp_path / "made" / "model.onnx").rename(tmp_path / "double.onnx")
        addresses = [Address(port=0), Address(path=tmp_path / "s")]
        server = Server(Settings(tmp_path / "double.onnx", config=Config(limits=limits or Limits())), addresses)
        threads.append((server, serving(server)))
        return server, threads[-1][1]

    yield start
    for server, thread in threads:
        server.stop()
        thread.join(LONG)
        assert not thread.is_alive()


def over_http(server, begun):
    """Ask until the server says goodbye; how it did."""
    connection = http.client.HTTPConnection(server.addresses[0].host, server.addresses[0].port, timeout=LONG)
    connection.connect()
    connection.auto_open = 0
    while True:
        try:
            connection.request("POST", "/v2/models/double/infer", TOLD)
            answer = connection.getresponse()
        except http.client.RemoteDisconnected:
            return "disconnected"
        assert answer.status == 200
        assert json.loads(answer.read())["outputs"][0]["data"] == [2.0, 4.0, 6.0, 8.0]
        begun.release()
        if answer.will_close:
            connection.close()
            return "close"


def exactly(sock, size):
    found = b""
    while len(found) < size:
        more = sock.recv(size - len(found))
        if not more:
            return found
        found += more
    return found


def over_frames(server, begun):
    told = json.dumps({"model_name": "double", **json.loads(TOLD)}).encode()
    frame = HEADER.pack(MAGIC, INFER, 0, 0, 0, len(told), len(told)) + told
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(LONG)
        sock.connect(str(server.addresses[1].path))
        while True:
            sock.sendall(frame)
            head = exactly(sock, HEADER.size)
            if not head:
                return "disconnected"
            assert len(head) == HEADER.size
            _, _, _, _, status, _, size = HEADER.unpack(head)
            body = exactly(sock, size)
            assert len(body) == size
            assert status == 200, body
            begun.release()


def test_nobody_who_was_heard_is_cut_off(running):
    server, thread = running()
    begun, ends = threading.Semaphore(0), []

    def client(work):
        try:
            ends.append(work(server, begun))
        except Exception as error:  # noqa: BLE001 - told in the test's own thread
            ends.append(error)
            begun.release()

    clients = [threading.Thread(target=client, args=(work,)) for work in (over_http, over_frames) * 3]
    for one in clients:
        one.start()
    for _ in range(60):
        assert begun.acquire(timeout=LONG)
    server.stop()
    for one in clients:
        one.join(LONG)
    thread.join(LONG)
    assert not thread.is_alive()
    assert len(ends) == 6
    assert set(ends) <= {"close", "disconnected"}, ends
    assert "close" in ends


@pytest.mark.parametrize("said", [b"", b"GET /v2/health/live HTTP/1.1\r\nHo"])
def test_idle_and_unfinished_ones(running, said):
    server, thread = running()
    with socket.create_connection((server.addresses[0].host, server.addresses[0].port), LONG) as sock:
        sock.sendall(b"GET /v2/health/live HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert sock.recv(4096).startswith(b"HTTP/1.1 200")
        sock.sendall(said)
        server.stop()
        if not said:
            assert sock.recv(4096) == b""  # not a reset
            sock.sendall(b"GET /v2/health/live HTTP/1.1\r\nHost: localhost\r\n\r\n")  # too late: no reset either
            assert sock.recv(4096) == b""
        else:
            sock.sendall(b"st: localhost\r\n\r\n")
            found = b"".join(iter(lambda: sock.recv(4096), b""))
            assert found.startswith(b"HTTP/1.1 200") and b"Connection: close\r\n" in found
    thread.join(LONG)
    assert not thread.is_alive()


def test_a_reply_that_does_not_fit_is_refused_before_its_first_byte(running):
    server, _ = running(Limits(buffered_bytes=9_000_000))
    values = np.full(1 << 19, -1.2345678e-10, np.float32)  # 2 MB come, 8 MB go
    told = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [values.size // 4, 4],
                        "parameters": {"binary_data_size": values.nbytes}}]}  # fmt: skip
    text, address = json.dumps(told).encode(), (server.addresses[0].host, server.addresses[0].port)
    body, socks, statuses, said = text + values.tobytes(), [], [], []
    lines = ["POST /v2/models/double/infer HTTP/1.1", "Host: localhost", f"Content-Length: {len(body)}",
             f"Inference-Header-Content-Length: {len(text)}", "", ""]  # fmt: skip
    head = "\r\n".join(lines).encode()
    try:
        for _ in range(5):  # one after the other; nobody reads
            sock = socket.socket()
            sock.settimeout(LONG)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)  # the kernel is to keep little of it
            socks.append(sock)
            sock.connect(address)
            sock.sendall(head + body)
            sock.recv(1, socket.MSG_PEEK)  # its answer has begun
        for sock in socks:
            answer = http.client.HTTPResponse(sock)
            answer.begin()
            said.append(answer.read())
            assert len(said[-1]) == int(answer.headers["Content-Length"])  # to the end
            statuses.append(answer.status)
    finally:
        for sock in socks:
            sock.close()
    assert statuses[0] == 200
    assert set(statuses) == {200, 503}, statuses
    assert b"more than can be buffered now" in said[-1]


class Heard(logging.Handler):
    """Waits for one event."""

    def __init__(self, event):
        super().__init__()
        self.event, self.records, self.come = event, [], threading.Event()

    def emit(self, record):
        if record.event == self.event:
            self.records.append(record)
            self.come.set()


def test_refusals_are_told_once_in_a_while(running):
    server, _ = running()
    connection = http.client.HTTPConnection(server.addresses[0].host, server.addresses[0].port, timeout=LONG)
    hurried = json.dumps({**json.loads(TOLD), "parameters": {"timeout": 1}})
    heard = Heard("refused")
    logs.LOG.addHandler(heard)
    try:
        for _ in range(3):
            connection.request("POST", "/v2/models/double/infer", hurried)
            answer = connection.getresponse()
            assert answer.status == 503, answer.read()
            answer.read()
        connection.close()
        assert heard.come.wait(LONG)
    finally:
        logs.LOG.removeHandler(heard)
    (said,) = heard.records
    assert set(said.fields) == {"double infeasible"}
    assert "requests were refused (double infeasible: " in said.getMessage()
