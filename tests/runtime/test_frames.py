"""The Unix socket's frames, by their client and byte by byte."""

import json
import math
import os
import socket
import struct

import numpy as np
import pytest

from edgewright.core.errors import EdgewrightError, InputError
from edgewright.formats import save
from edgewright.runtime.addresses import Address
from edgewright.runtime.client import Client, Unanswered
from edgewright.runtime.lanes.frames import ATTACH, HEADER, INFER, MAGIC
from edgewright.runtime.loading.opening import Settings
from edgewright.runtime.server import Server, serving
from edgewright.testing.build import Build

LONG = 60.0
X = np.arange(8, dtype=np.float32).reshape(2, 4)


@pytest.fixture
def path(tmp_path):
    """Where a server of one model that doubles listens."""
    build = Build()
    build.output(build.node("Mul", build.input("x", ["n", 4]), build.constant(np.float32(2))), ["n", 4])
    save(build.model(), tmp_path / "double")
    server = Server(Settings(tmp_path / "double" / "model.onnx"), [Address(path=tmp_path / "s")])
    thread = serving(server)
    yield tmp_path / "s"
    server.stop()
    thread.join(LONG)
    assert not thread.is_alive()


@pytest.fixture
def raw(path):
    """A connection that says what the test says."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(LONG)
        sock.connect(str(path))
        yield sock


def frame(told, tensors=b"", kind=INFER, priority=0, timeout_us=0):
    head = told if isinstance(told, bytes) else json.dumps(told).encode()
    return HEADER.pack(MAGIC, kind, priority, 0, timeout_us, len(head), len(head) + len(tensors)) + head + tensors


def asking(**more):
    piece = {"name": "x", "datatype": "FP32", "shape": [2, 4], "parameters": {"binary_data_size": 32}}
    return {"model_name": "model", "inputs": [piece], "parameters": {"binary_data_output": True}, **more}


def take(sock, size):
    found = b""
    while len(found) < size:
        piece = sock.recv(size - len(found))
        assert piece, found
        found += piece
    return found


def answer(sock):
    status, head, size = HEADER.unpack(take(sock, HEADER.size))[4:]
    body = take(sock, size)
    return status, json.loads(body[:head]), body[head:]


def test_the_client_gets_what_the_model_says(path):
    with Client(path) as client:
        for rows in (1, 2, 5):
            x = np.random.default_rng(rows).normal(size=(rows, 4)).astype(np.float32)
            (doubled,) = client.infer({"x": x}, "model").values()
            np.testing.assert_array_equal(doubled, 2 * x)
        with pytest.raises(Unanswered, match="no model is named 'other'") as caught:
            client.infer({"x": X}, "other")
        assert caught.value.status == 404
        with pytest.raises(Unanswered, match="must be float32"):
            client.infer({"x": X.astype(np.int64)})
        with pytest.raises(Unanswered, match=r"it has 0(\.\d+)? ms"):
            client.infer({"x": X}, deadline_ms=0.001)
        assert client.infer({"x": X}, "model:1", deadline_ms=60000, priority=1)


def test_a_client_is_told_when_there_is_no_server(tmp_path):
    with pytest.raises(EdgewrightError, match="no server answers at"):
        Client(tmp_path / "nobody")


def test_a_frame_may_come_in_pieces_and_several_at_once(raw):
    whole = frame(asking(id="7"), X.tobytes())
    for byte in whole:
        raw.sendall(bytes([byte]))
    status, told, tensors = answer(raw)
    assert (status, told["id"]) == (200, "7")
    np.testing.assert_array_equal(np.frombuffer(tensors, "<f4").reshape(2, 4), 2 * X)
    raw.sendall(whole * 3)
    for _ in range(3):
        assert take(raw, HEADER.unpack(take(raw, HEADER.size))[6]).endswith((2 * X).tobytes())


@pytest.mark.parametrize(
    ("said", "status", "why"),
    [
        (frame(b"{"), 400, "no JSON"),
        (frame(asking(), b"short"), 400, "announce 32 bytes"),
        (frame(asking(model_name=3), X.tobytes()), 400, "are strings"),
        (frame(asking(), X.tobytes(), kind=9), 400, "no kind 9"),
        (frame({"name": "r"}, kind=ATTACH), 400, "one file descriptor"),
        (HEADER.pack(MAGIC, INFER, 0, 0, 0, 9, 2) + b"{}", 400, "no frame"),
        (HEADER.pack(MAGIC, INFER, 0, 0, 0, 9, 2**32 - 1), 413, "a frame may have 67,108,864 bytes"),
        (b"EVIL" + bytes(16), 400, "no frame"),
    ],
)
def test_what_is_no_request_is_told_why(raw, said, status, why):
    raw.sendall(said)
    found, told, _ = answer(raw)
    assert found == status and why in told["error"]


def test_http_is_spoken_on_the_same_socket(raw):
    raw.sendall(b"GET /v2/health/ready HTTP/1.1\r\nHost: x\r\n\r\n")
    assert raw.recv(65536).startswith(b"HTTP/1.1 200 OK")


def attach(sock, fd, name="r"):
    fds = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, struct.pack("i", fd))]
    sock.sendmsg([frame({"name": name}, kind=ATTACH)], fds)
    return answer(sock)


def test_memory_files_are_attached_and_nothing_else(raw, tmp_path):
    fd = os.memfd_create("test")
    status, told, _ = attach(raw, fd)
    assert status == 400 and "a byte at least" in told["error"]
    os.ftruncate(fd, 4096)
    assert attach(raw, fd)[0] == 200
    os.close(fd)
    reading, writing = os.pipe()
    assert attach(raw, reading)[0] == 400
    os.close(reading)
    os.close(writing)


def test_inputs_in_shared_memory_are_not_sent(path):
    with Client(path) as client, Client(path) as other:
        memory = client.share(4096)
        x = memory[64:96].view(np.float32).reshape(2, 4)
        for factor in (1, 2, 3):
            x[:] = factor * X
            (doubled,) = client.infer({"x": x}).values()
            np.testing.assert_array_equal(doubled, 2 * factor * X)
        # The same request from a client that shares nothing: its memory is its own.
        theirs = other.share(64)
        assert theirs.nbytes == 64
        with pytest.raises(Unanswered, match="has 64 bytes"):
            other._place = lambda array: client._place(array)
            other.infer({"x": x})


def test_a_file_that_shrinks_costs_its_owner_a_request(raw):
    fd = os.memfd_create("test")
    os.ftruncate(fd, 4096)
    assert attach(raw, fd)[0] == 200
    place = {"shared_memory_region": "r", "shared_memory_byte_size": 32, "shared_memory_offset": 0}
    told = asking()
    told["inputs"][0]["parameters"] = place
    os.pwrite(fd, X.tobytes(), 0)
    raw.sendall(frame(told))
    assert answer(raw)[2] == (2 * X).tobytes()
    os.ftruncate(fd, 8)
    raw.sendall(frame(told))
    status, said, _ = answer(raw)
    assert status == 400 and "made smaller" in said["error"]
    os.close(fd)


@pytest.fixture
def words(tmp_path):
    """Where a server of two models listens: one that repeats words, and one that takes words and numbers."""
    (tmp_path / "models").mkdir()
    for name, numbers in (("echo", False), ("both", True)):
        build = Build()
        build.output(build.node("Identity", build.input("text", ["n"], "str")), ["n"], dtype="str")
        if numbers:
            build.output(build.node("Identity", build.input("x", ["n", 4])), ["n", 4])
        save(build.model(), tmp_path / name)
        (tmp_path / name / "model.onnx").rename(tmp_path / "models" / f"{name}.onnx")
    server = Server(Settings(tmp_path / "models"), [Address(path=tmp_path / "s")])
    thread = serving(server)
    yield tmp_path / "s"
    server.stop()
    thread.join(LONG)
    assert not thread.is_alive()


@pytest.mark.parametrize("kind", [object, str, bytes, None])
def test_strings(words, kind):
    texts = {str: ["spam", "ä"], bytes: [b"spam", "ä".encode()], None: [b"spam", "ä"]}.get(kind, ["spam", "ä"])
    array = np.array(texts, dtype=kind or object)
    with Client(words) as client:
        for _ in range(2):
            (said,) = client.infer({"text": array}, "echo").values()
            assert said.tolist() == [b"spam", "ä".encode()] and said.shape == (2,)
        (said,) = client.infer({"text": np.array(["", "x" * 5000], object)}, "echo").values()
        assert said.tolist() == [b"", b"x" * 5000]  # the same dtype and shape, another size


def test_strings_beside_numbers_and_shared_memory(words):
    with Client(words) as client:
        memory = client.share(32 + 8)
        memory[:32] = X.view(np.uint8).ravel()
        memory[32:] = np.frombuffer(b"eggsham ", np.uint8)
        shared = memory[:32].view(np.float32).reshape(2, 4)
        for x in (X, shared):
            said, same = client.infer({"text": memory[32:].view("S4"), "x": x}, "both").values()
            assert said.tolist() == [b"eggs", b"ham "]
            np.testing.assert_array_equal(same, X)


@pytest.mark.parametrize(
    ("inputs", "why"),
    [
        ({"x": [[1.0] * 4]}, "'x' must be a numpy array, got list; use numpy.asarray"),
        ({"x": X.astype(">f4")}, "'x' is >f4, which cannot be sent"),
        ({"x": X.astype(complex)}, "'x' is complex128, which cannot be sent"),
        ({"x": np.array([1, "a"], object)}, "'x' holds int among its objects"),
        ({"x": np.array(["\ud800"], object)}, "'x' holds a string that is no Unicode text"),
        (X, "inputs are arrays by name, got ndarray"),
    ],
)
def test_what_cannot_be_sent_is_told_here(path, inputs, why):
    with Client(path) as client:
        for _ in range(2):
            with pytest.raises(InputError, match=why):
                client.infer(inputs, "model")
        client.share(64)
        with pytest.raises(InputError, match=why):
            client.infer(inputs, "model")
        (doubled,) = client.infer({"x": X}, "model").values()
        np.testing.assert_array_equal(doubled, 2 * X)


@pytest.mark.parametrize("odd", [{"priority": 256}, {"priority": -1}, {"deadline_ms": -1.0}, {"deadline_ms": math.inf},
                                 {"deadline_ms": math.nan}, {"deadline_ms": 5e6}])  # fmt: skip
def test_what_a_frame_cannot_hold_is_told_here(path, odd):
    with Client(path) as client:
        with pytest.raises(InputError, match="priorities from 0 to 255, deadlines up to 71 minutes"):
            client.infer({"x": X}, "model", **odd)
        assert client.infer({"x": X}, "model")


def test_the_least_deadline_is_one(path):
    with Client(path) as client, pytest.raises(Unanswered, match=r"it has 0(\.\d+)? ms"):
        client.infer({"x": X}, "model", deadline_ms=1e-9)


def test_a_large_reply_is_put_together(path):
    x = np.ones((300_000, 4), np.float32)
    with Client(path) as client:
        (doubled,) = client.infer({"x": x}, "model").values()
        np.testing.assert_array_equal(doubled, 2 * x)
        assert not doubled.flags.writeable
