"""Requests that come in the same look at the sockets share a run: each gets its own rows, in time, whatever is run."""

import json
import socket
import threading

import numpy as np
import pytest

from edgewright.formats import save
from edgewright.runtime import company
from edgewright.runtime.addresses import Address
from edgewright.runtime.company import SHORT_S, batches
from edgewright.runtime.config import Config, ModelTable
from edgewright.runtime.faults import Gone
from edgewright.runtime.loading.opening import Settings
from edgewright.runtime.scheduling.line import NEVER
from edgewright.runtime.scheduling.scheduler import Job
from edgewright.runtime.scheduling.times import RunTimes
from edgewright.runtime.server import Server, serving
from edgewright.testing.build import Build

LONG = 60.0


class Model:
    most_rows = 8

    def __init__(self, seconds=1e-5):
        self.times = RunTimes()
        for rows in range(1, 33):
            self.times.add(rows, seconds * rows)


def job(model, rows=1, deadline=NEVER, priority=2):
    return Job(model, {}, print, deadline, priority, rows)


def test_a_run_has_at_most_the_models_rows_and_each_job_is_in_one():
    model = Model()
    jobs = [job(model, rows) for rows in (3, 3, 3, 1, 8, 2)]
    found = list(batches(jobs, 0.0))
    assert [one for batch in found for one in batch] == jobs
    assert all(sum(one.rows for one in batch) <= 8 for batch in found)
    assert [len(batch) for batch in found] == [2, 2, 1, 1]


def test_a_run_does_not_keep_the_loop_for_long():
    model = Model(SHORT_S / 3)
    assert [len(batch) for batch in batches([job(model) for _ in range(7)], 0.0)] == [3, 3, 1]


def test_the_urgent_run_first_and_nobody_is_late_for_company():
    model = Model()
    late, usual, first = job(model, deadline=1.5e-5), job(model), job(model, priority=1)
    assert list(batches([usual, late, first], 0.0)) == [[first], [late], [usual]]
    late.deadline = 3.5e-5
    assert list(batches([usual, late, first], 0.0)) == [[usual, late, first]]


@pytest.fixture
def cores(monkeypatch):
    """On how many the server may run, as it sees it."""
    found = [0]
    monkeypatch.setattr(company.os, "sched_getaffinity", lambda pid: set(found))
    return found


@pytest.fixture
def served(tmp_path, cores):
    """A server on one core whose one quick model is batched."""
    build = Build()
    x = build.input("x", ["n", 4])
    build.output(build.node("Mul", x, build.constant(np.float32(2))), ["n", 4])
    save(build.model(), tmp_path / "made")
    (tmp_path / "models").mkdir()
    (tmp_path / "made" / "model.onnx").rename(tmp_path / "models" / "double.onnx")
    config = Config(models={"double": ModelTable(max_batch=64)})
    server = Server(Settings(tmp_path / "models", config=config), [Address(port=0)])
    thread = serving(server)
    server.repository.find("double").times = quick = RunTimes()  # whatever its first runs took on this machine
    quick.add(24, SHORT_S / 100)
    yield server
    server.stop()
    thread.join(LONG)
    assert not thread.is_alive()


def request(x, binary=True, **parameters):
    entry = {"name": "x", "shape": list(x.shape), "datatype": "FP32"}
    if not binary:
        told = json.dumps({"inputs": [{**entry, "data": x.ravel().tolist()}], "parameters": parameters}).encode()
        return (
            b"POST /v2/models/double/infer HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(told) + told
        )
    entry["parameters"] = {"binary_data_size": x.nbytes}
    told = json.dumps({"inputs": [entry], "parameters": {"binary_data_output": True, **parameters}}).encode()
    head = b"POST /v2/models/double/infer HTTP/1.1\r\nHost: localhost\r\nInference-Header-Content-Length: %d\r\n" % len(
        told
    )
    return head + b"Content-Length: %d\r\n\r\n" % (len(told) + x.nbytes) + told + x.tobytes()


def at_one_look(server, raws):
    """The replies to requests that are all there when the loop looks next."""
    address = server.addresses[0]
    socks = [socket.create_connection((address.host, address.port), LONG) for _ in raws]
    try:
        for sock in socks:  # let in, and at rest
            sock.sendall(b"GET /v2/health/live HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert whole(sock)[0] == 200
        reached, go = threading.Event(), threading.Event()
        server._loop.call(lambda: (reached.set(), go.wait(LONG)))
        assert reached.wait(LONG)
        for sock, raw in zip(socks, raws, strict=True):
            sock.sendall(raw)
        go.set()
        return [whole(sock) for sock in socks]
    finally:
        for sock in socks:
            sock.close()


def whole(sock):
    """Status and body of one reply."""
    data = b""
    while (end := data.find(b"\r\n\r\n")) < 0:
        data += sock.recv(65536)
    length = int(data[:end].lower().split(b"content-length: ")[1].split(b"\r\n")[0])
    while len(data) < end + 4 + length:
        data += sock.recv(65536)
    return int(data[9:12]), data[end + 4 :]


def runs(server):
    return server.repository.find("double").stats.batches


def test_each_gets_its_own_rows(served):
    asked = [np.full((1 + i % 3, 4), i, np.float32) for i in range(12)]
    replies = at_one_look(served, [request(x, binary=i % 2 == 0) for i, x in enumerate(asked)])
    for i, (x, (status, body)) in enumerate(zip(asked, replies, strict=True)):
        assert status == 200
        if i % 2 == 0:
            np.testing.assert_array_equal(np.frombuffer(body[-x.nbytes :], np.float32), 2 * x.ravel())
        else:
            told = json.loads(body)["outputs"][0]
            assert told["shape"] == list(x.shape) and told["data"] == (2 * x.ravel()).tolist()
    assert dict(runs(served)) == {24: 1}
    assert served.repository.find("double").stats.requests == 12


def test_where_there_are_more_cores_each_is_answered_when_it_is_done(served, cores):
    cores.append(1)
    assert [status for status, _ in at_one_look(served, [request(np.ones((1, 4), np.float32))] * 6)] == [200] * 6
    assert dict(runs(served)) == {1: 6}


def test_one_that_is_wrong_fails_alone(served):
    good, wrong = np.ones((1, 4), np.float32), np.ones((1, 5), np.float32)
    replies = at_one_look(served, [request(x) for x in (good, wrong, good, good)])
    assert [status for status, _ in replies] == [200, 400, 200, 200]
    assert b"shape" in replies[1][1]
    assert served.repository.find("double").stats.faults["bad_request"] == 1


def test_while_somebody_else_runs_they_wait_in_line(served):
    scheduler, double = served.desk.scheduler, served.repository.find("double")
    assert scheduler.enter(double)
    x = np.ones((1, 4), np.float32)
    address, found = served.addresses[0], []
    threads = [threading.Thread(target=lambda: found.extend(at_one_look(served, [request(x)] * 4)))]
    threads[0].start()
    with socket.create_connection((address.host, address.port), LONG) as sock:
        while scheduler.waiting < 4:  # the loop answers others meanwhile
            sock.sendall(b"GET /v2/health/live HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert whole(sock)[0] == 200
    scheduler.leave(double)
    threads[0].join(LONG)
    assert [status for status, _ in found] == [200] * 4


def test_who_hangs_up_while_they_wait_in_line_is_not_run(served):
    scheduler, double = served.desk.scheduler, served.repository.find("double")
    assert scheduler.enter(double)
    address, socks = served.addresses[0], []
    reached, go = threading.Event(), threading.Event()
    for _ in range(4):
        socks.append(socket.create_connection((address.host, address.port), LONG))
        socks[-1].sendall(b"GET /v2/health/live HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert whole(socks[-1])[0] == 200
    served._loop.call(lambda: (reached.set(), go.wait(LONG)))
    assert reached.wait(LONG)
    for sock in socks:
        sock.sendall(request(np.ones((1, 4), np.float32)))
    go.set()
    while scheduler.waiting < 4:
        pass
    for sock in socks:
        sock.close()
    while scheduler.waiting:
        pass
    scheduler.leave(double)
    while double.stats.faults["cancelled"] < 4:
        pass
    assert not double.stats.requests


def test_one_that_has_no_time_is_told_so(served):
    x = np.ones((1, 4), np.float32)
    double = served.repository.find("double")
    for _ in range(100):
        double.times.add(1, SHORT_S / 2)
    replies = at_one_look(served, [request(x, timeout=1), request(x), request(x, timeout=60_000_000), request(x)])
    assert [status for status, _ in replies] == [503, 200, 200, 200] or replies[0][0] == 504
    assert double.stats.missed == 1


def test_requests_for_a_version_that_is_replaced_are_answered_by_its_successor(served):
    double = served.repository.find("double")
    x = np.ones((1, 4), np.float32)
    double.most_runs = 0  # retired, and still the one that is found
    successor = []

    def swap():
        double.most_runs = 1
        successor.append(True)

    find = served.repository.find
    asked = []

    def found(name="", version=""):
        asked.append(name)
        if len(asked) == 5:
            swap()
        return find(name, version)

    served._routes.inference._find = found
    replies = at_one_look(served, [request(x)] * 4)
    assert [status for status, _ in replies] == [200] * 4 and successor


def test_many_rows_that_take_long_do_not_keep_the_loop(served):
    double, threads = served.repository.find("double"), []
    infer = double.session.infer

    def watched(inputs):
        threads.append((threading.current_thread().name, len(inputs["x"])))
        return infer(inputs)

    double.session.infer = watched
    for _ in range(3):
        double.times.add(40, 100 * SHORT_S)
    double.varied = True
    with socket.create_connection((served.addresses[0].host, served.addresses[0].port), LONG) as sock:
        for count in (1, 40):
            sock.sendall(request(np.ones((count, 4), np.float32)))
            assert whole(sock)[0] == 200
    assert [name.startswith("edgewright-executor") for name, _ in threads] == [False, True], threads


def test_who_waits_for_another_s_answer_and_is_told_that_the_version_is_gone_asks_its_successor(served, monkeypatch):
    later, gone = served.desk.later, [Gone("it was replaced just now")]

    def once(version, inputs, done, timeout_s=None, priority=0):
        if gone:
            done(None, gone.pop())
            return Job(version, inputs, done)
        return later(version, inputs, done, timeout_s, priority)

    monkeypatch.setattr(served.desk, "later", once)
    monkeypatch.setattr(served.desk, "at_once", lambda *_: None)
    (reply,) = at_one_look(served, [request(np.ones((1, 4), np.float32))])
    assert reply[0] == 200 and not gone
