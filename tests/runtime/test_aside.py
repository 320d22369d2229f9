"""What takes long is done aside: not on the thread that everybody waits for, the short before the long."""

import contextlib
import gzip
import http.client
import json
import socket
import threading
import zlib
from collections import deque

import numpy as np
import pytest

from edgewright.formats import save
from edgewright.runtime.addresses import Address
from edgewright.runtime.aside import Aside, drained, step
from edgewright.runtime.config import Config
from edgewright.runtime.faults import BadRequest
from edgewright.runtime.lanes.frames import HEADER, INFER, MAGIC
from edgewright.runtime.lanes.limits import Limits
from edgewright.runtime.loading.opening import Settings
from edgewright.runtime.oip import inference, replies, wires
from edgewright.runtime.oip.encodings import TooLong, deflating, inflate, inflating
from edgewright.runtime.oip.types import write_bytes
from edgewright.runtime.server import Server, serving
from edgewright.testing.build import Build

LONG = 60.0


# The thread.


@pytest.fixture
def aside():
    calls = deque()
    made = Aside(calls.append)
    made.calls = calls
    yield made
    made.close()


def told(aside, count):
    """Play the loop until so many were told."""
    while count:
        with contextlib.suppress(IndexError):
            aside.calls.popleft()()
            count -= 1


def test_what_is_short_goes_before_what_is_long_even_when_that_was_begun(aside):
    begun, go, done = threading.Event(), threading.Event(), []

    def slow():
        begun.set()
        assert go.wait(LONG)
        for _ in range(3):
            yield
        return "slow"

    for size, steps in ((2**21, slow()), (2**21, step(lambda: "long")), (10, step(lambda: "short"))):
        aside.run(size, steps, lambda found, error: done.append(found))
        assert begun.wait(LONG)
    go.set()
    told(aside, 3)
    assert done == ["short", "slow", "long"]


def test_what_goes_wrong_is_told_and_what_is_given_up_is_not(aside):
    done = []

    def wrong():
        yield
        raise KeyError("x")

    aside.run(1, wrong(), lambda found, error: done.append(error))
    aside.run(1, step(lambda: 1), lambda found, error: done.append(found)).give_up()
    aside.run(1, step(lambda: 2), lambda found, error: done.append(found))
    while len(done) < 2:
        told(aside, 1)
    assert isinstance(done[0], KeyError) and done[1:] == [2]


def test_it_ends_with_what_is_not_done(aside):
    begun, go = threading.Event(), threading.Event()

    def slow():
        begun.set()
        assert go.wait(LONG)
        yield

    aside.run(1, slow(), lambda *_: None)
    assert begun.wait(LONG)
    aside.run(1, step(lambda: pytest.fail("it is closed")), lambda *_: None)
    aside._open = False
    go.set()
    aside.close()
    assert not aside.calls


# The server.


def usually_quick(model):
    """As many runs as are kept: what a busy machine made long does not count."""
    for _ in range(64):
        model.times.add(1, 1e-6)


@pytest.fixture
def started(tmp_path):
    """Starts servers of a model that doubles and of one that repeats words; stops them."""
    for name, kind in (("double", "float32"), ("echo", "str")):
        build = Build()
        x = build.input("x", ["n"], kind)
        y = build.node("Identity", x) if kind == "str" else build.node("Add", x, x)
        build.output(y, ["n"], dtype=kind)
        save(build.model(), tmp_path / name)
        (tmp_path / "models").mkdir(exist_ok=True)
        (tmp_path / name / "model.onnx").rename(tmp_path / "models" / f"{name}.onnx")
    running = []

    def start(limits=None):
        server = Server(
            Settings(tmp_path / "models", config=Config(limits=limits or Limits())),
            [Address(port=0), Address(path=tmp_path / "s")],
        )
        running.append((server, serving(server)))
        for name in ("double", "echo"):
            usually_quick(server.repository.find(name))
        return server

    yield start
    for server, thread in running:
        server.stop()
        thread.join(LONG)
        assert not thread.is_alive()


def ask(server, name, body, **headers):
    address = server.addresses[0]
    connection = http.client.HTTPConnection(address.host, address.port, timeout=LONG)
    sent = {key.replace("_", "-"): str(value) for key, value in headers.items()}
    connection.request("POST", f"/v2/models/{name}/infer", body, sent)
    answer = connection.getresponse()
    raw = answer.read()
    connection.close()
    return answer.status, raw, answer.headers


def output(server, name):
    return server.repository.find(name).session.signature.outputs[0].name


def asked(x, kind="FP32", binary=False, **more):
    """A request's body and headers."""
    entry = {"name": "x", "datatype": kind, "shape": [len(x)]}
    if not binary:
        return json.dumps({"inputs": [{**entry, "data": list(x)}], **more}).encode(), {}
    raw = write_bytes(x) if kind == "BYTES" else x.tobytes()
    entry["parameters"] = {"binary_data_size": len(raw)}
    head = json.dumps({"inputs": [entry], **more}).encode()
    return head + raw, {"Inference_Header_Content_Length": len(head)}


BINARY = {"parameters": {"binary_data_output": True}}


@pytest.fixture
def ran(monkeypatch):
    """Names of the threads that ran models, in the order they did."""
    from edgewright.runtime.served import Served

    found, usual = [], Served.infer

    def infer(self, inputs):
        found.append(threading.current_thread().name)
        return usual(self, inputs)

    monkeypatch.setattr(Served, "infer", infer)
    return found


@pytest.mark.parametrize("binary", [True, False])
def test_a_quick_model_runs_on_the_loop_and_not_with_much_to_do(started, ran, binary):
    server = started()
    for count, where in ((4, "edgewright-server"), (20_000, "edgewright-executor-1"), (4, "edgewright-server")):
        x = np.arange(count, dtype=np.float32)
        while server.repository.find("double").running:
            pass
        usually_quick(server.repository.find("double"))
        body, headers = asked(x if binary else x.tolist(), binary=binary, **BINARY)
        status, raw, told = ask(server, "double", body, **headers)
        assert status == 200 and raw[int(told["Inference-Header-Content-Length"]) :] == (2 * x).tobytes()
        assert ran.pop() == where


@pytest.fixture
def where(monkeypatch):
    """Names of the threads that read and wrote, by what they did."""
    found = {}

    def watch(module, name):
        usual = getattr(module, name)

        def steps(*args):
            found[name] = threading.current_thread().name
            return (yield from usual(*args))

        monkeypatch.setattr(module, name, steps)

    watch(inference, "reading_plan")
    watch(wires, "replying")
    watch(replies, "replying")
    return found


@pytest.mark.parametrize(
    ("count", "aside"), [(10, ()), (30_000, ["replying"]), (120_000, ["reading_plan", "replying"])]
)
def test_long_json_is_read_and_written_aside(started, where, count, aside):
    server = started()
    x = [0.5] * count
    status, raw, _ = ask(server, "double", asked(x)[0])
    assert status == 200 and json.loads(raw)["outputs"][0]["data"] == [1.0] * count
    assert where == (dict.fromkeys(aside, "edgewright-aside") or {"replying": "edgewright-server"})


@pytest.mark.parametrize("odd", [0, 1])
def test_large_tensors_come_and_go_whole(started, odd):
    server = started()
    x = np.random.default_rng(0).normal(size=3_000_000).astype(np.float32)
    body, headers = asked(x, binary=True, **BINARY)
    head = headers["Inference_Header_Content_Length"]
    body = body[:head] + b" " * ((odd - head) % 4) + body[head:]  # aligned, and not
    status, raw, told = ask(server, "double", body, Inference_Header_Content_Length=head + (odd - head) % 4)
    assert status == 200 and raw[int(told["Inference-Header-Content-Length"]) :] == (2 * x).tobytes()
    status, raw, _ = ask(server, "double", asked(x, binary=True)[0], **asked(x, binary=True)[1])
    np.testing.assert_array_equal(np.array(json.loads(raw)["outputs"][0]["data"], np.float32), 2 * x)


def test_many_words_and_long_ones(started):
    server = started()
    for words in ([b"w%d" % i for i in range(60_000)], [b"a" * 3_000_000, b"b"]):
        for binary in (True, False):
            body, headers = asked(words if binary else [w.decode() for w in words], "BYTES", binary)
            status, raw, _ = ask(server, "echo", body, **headers)
            assert status == 200 and json.loads(raw)["outputs"][0]["data"] == [w.decode() for w in words]
        body, headers = asked(words, "BYTES", True, **BINARY)
        status, raw, told = ask(server, "echo", body, **headers)
        assert status == 200 and raw[int(told["Inference-Header-Content-Length"]) :] == write_bytes(words)
    status, raw, _ = ask(server, "echo", asked(["a"] * 70_000, "BYTES")[0])
    assert status == 400 and b"more than 65,536 elements of BYTES" in raw


def test_frames_that_are_long(started, tmp_path):
    server = started()
    x = np.arange(100_000, dtype=np.float32)
    text = json.dumps({"model_name": "double", "inputs": [
        {"name": "x", "datatype": "FP32", "shape": [len(x)], "data": x.tolist()}], **BINARY}).encode()  # fmt: skip
    assert server.addresses[1].path is not None
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(LONG)
        sock.connect(str(server.addresses[1].path))
        for _ in range(2):
            sock.sendall(HEADER.pack(MAGIC, INFER, 0, 0, 0, len(text), len(text)) + text)
            stream = sock.makefile("rb")
            *_, status, head, size = HEADER.unpack(stream.read(HEADER.size))
            assert status == 200 and stream.read(size)[head:] == (2 * x).tobytes()


@pytest.mark.parametrize(
    ("change", "status", "says"),
    [
        (lambda told: told["inputs"][0].update(shape=[7]), 400, "has 20000 elements, its shape [7] takes 7"),
        (lambda told: told["inputs"][0]["data"].append("x"), 400, "its shape [20000] takes 20000"),
        (lambda told: told["inputs"][0]["data"].__setitem__(9000, "x"), 400, "holds an element that is no FP32"),
        (lambda told: told["inputs"][0].update(name="z"), 400, "z"),
        (lambda told: told.update(parameters={"timeout": 1}), 504, "deadline had passed"),
        (lambda told: told.update(outputs=[{"name": "q"}]), 400, "no output 'q'"),
    ],
)
def test_what_goes_wrong_aside_is_told_and_counted(started, change, status, says):
    server = started()
    request = json.loads(asked([0.5] * 20_000)[0])
    change(request)
    found, raw, _ = ask(server, "double", json.dumps(request))
    assert found == status and says in json.loads(raw)["error"]
    stats = server.repository.find("double").stats
    assert sum(stats.faults.values()) + stats.requests == 1
    assert ask(server, "nonesuch", json.dumps(request))[0] == 404


def test_a_fault_of_ours_aside_costs_its_sender_an_error(started, monkeypatch):
    server = started()
    monkeypatch.setattr(inference, "reading_plan", lambda *_: step(lambda: {}["missing"]))
    status, raw, _ = ask(server, "double", asked([0.5] * 120_000)[0])
    assert status == 500 and b"the server has a fault" in raw
    monkeypatch.setattr(wires.Writing, "steps", lambda *_: step(lambda: {}["missing"]))
    x = np.zeros(20_000, np.float32)
    body, headers = asked(x, binary=True)
    status, raw, _ = ask(server, "double", body, **headers)
    assert status == 500 and b"the server has a fault" in raw


def test_replies_in_json_have_a_limit(started):
    server = started(Limits(buffered_bytes=400_000))
    body, headers = asked(np.full(90_000, 0.123, np.float32), binary=True)
    status, raw, _ = ask(server, "double", body, **headers)
    assert status == 400 and b"more than 400,000 bytes in JSON: ask for it with binary_data" in raw
    status, raw, _ = ask(server, "double", asked([1.0] * 30, id="x" * 9000)[0])
    assert status == 200


def test_a_client_that_hangs_up_takes_what_is_done_aside_along(started, monkeypatch):
    server = started()
    begun, go, finished = threading.Event(), threading.Event(), []

    def slow(*_):
        begun.set()
        assert go.wait(LONG)
        yield
        finished.append("no")

    monkeypatch.setattr("edgewright.runtime.oip.packed.inflating", slow)
    body = gzip.compress(np.random.default_rng(0).bytes(100_000))
    place = (server.addresses[0].host, server.addresses[0].port)
    with socket.create_connection(place, LONG) as sock:
        head = (
            b"POST /v2/models/double/infer HTTP/1.1\r\nHost: localhost\r\nContent-Encoding: gzip\r\nContent-Length: %d"
        )
        sock.sendall(head % len(body) + b"\r\n\r\n" + body)
        assert begun.wait(LONG)
    while server._sockets.busy:
        pass
    go.set()
    monkeypatch.undo()
    assert ask(server, "double", asked([1.0] * 20_000)[0])[0] == 200 and not finished
    assert server._routes.inference._packed.held == 0


# Packing.


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
@pytest.mark.parametrize("size", [0, 1, 65_535, 65_536, 65_537, 3_000_000])
@pytest.mark.parametrize("pattern", ["zeros", "noise"])
def test_what_is_packed_is_unpacked_in_steps(encoding, size, pattern):
    body = bytes(size) if pattern == "zeros" else np.random.default_rng(0).bytes(size)
    packed = gzip.compress(body) if encoding == "gzip" else zlib.compress(body)
    assert drained(inflating(packed, encoding, max(size, 1))) == body
    again = b"".join(drained(deflating([body[:7], body[7:]], encoding)))
    assert (gzip.decompress if encoding == "gzip" else zlib.decompress)(again) == body
    if size > 1:
        with pytest.raises(TooLong):
            inflate(packed, encoding, size - 1)
    for wrong, says in ((packed + b"more", "4 bytes follow"), (packed[:-1], "cut short"), (b"", "cut short")):
        with pytest.raises(BadRequest, match=says):
            inflate(wrong, encoding, max(size, 1))


def test_a_bomb_holds_no_more_than_is_allowed():
    steps = inflating(gzip.compress(bytes(10**8)), "gzip", 10**6)
    with pytest.raises(TooLong):
        drained(steps)
