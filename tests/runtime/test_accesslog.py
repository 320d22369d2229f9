"""The access log: a line per request on every lane, the same fields, and no secrets."""

import http.client
import io
import json
import logging
import socket

import numpy as np
import pytest

from edgewright.formats import save
from edgewright.runtime import accesslog, logs
from edgewright.runtime.addresses import Address
from edgewright.runtime.client import Client, Unanswered
from edgewright.runtime.config import Config, ServerTable
from edgewright.runtime.lanes.frames import HEADER, INFER, MAGIC
from edgewright.runtime.loading.opening import Settings
from edgewright.runtime.server import Server, serving
from edgewright.testing.build import Build

LONG = 60.0
X = np.arange(4, dtype=np.float32).reshape(1, 4)
INFER_JSON = json.dumps({"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 4], "data": [1, 2, 3, 4]}]})
FIELDS = {"lane", "peer", "method", "status", "ms", "bytes"}
COMMON = {"level", "time", "event", "message"}


@pytest.fixture
def lines():
    """The access log's lines so far, as a machine reads them."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logs.Json())
    logs.LOG.addHandler(handler)
    logs.LOG.setLevel(logging.INFO)

    def read():
        told = [one for one in map(json.loads, stream.getvalue().splitlines()) if one["event"] == "access"]
        assert all(one.keys() >= FIELDS | COMMON and one["ms"] >= 0 for one in told)
        return told

    yield read
    logs.LOG.removeHandler(handler)
    logs.LOG.setLevel(logging.NOTSET)


@pytest.fixture
def start(tmp_path):
    build = Build()
    build.output(build.node("Mul", build.input("x", ["n", 4]), build.constant(np.float32(2))), ["n", 4])
    save(build.model(), tmp_path / "made")
    (tmp_path / "models").mkdir()
    (tmp_path / "made" / "model.onnx").rename(tmp_path / "models" / "double.onnx")
    running = []

    def begin(access_log=True, beside=()):
        settings = Settings(tmp_path / "models", config=Config(ServerTable(access_log=access_log)), watch_s=0)
        server = Server(settings, [Address(port=0), Address(path=tmp_path / "sock")], beside=beside)
        running.append((server, serving(server)))
        return server

    yield begin
    for server, thread in running:
        server.stop()
        thread.join(LONG)


def said(lines, *keys):
    return [tuple(one.get(key) for key in keys) for one in lines]


def test_http_is_told_with_the_model_that_was_asked(start, lines):
    connection = http.client.HTTPConnection("127.0.0.1", start().addresses[0].port, timeout=LONG)
    for method, target, body in (
        ("GET", "/v2/models/double/versions/1?token=secret", None), ("POST", "/v2/models/double/infer", INFER_JSON),
        ("POST", "/v2/repository/models/double/load", None), ("GET", "/v2/models/stats", None),
        ("POST", "/v2/models/none/infer", INFER_JSON), ("GET", "/metrics", None),
    ):  # fmt: skip
        connection.request(method, target, body, {"Authorization": "Bearer secret"})
        connection.getresponse().read()
    connection.close()
    assert said(lines(), "method", "path", "model", "version", "status") == [
        ("GET", "/v2/models/double/versions/1", "double", "1", 200),
        ("POST", "/v2/models/double/infer", "double", None, 200),
        ("POST", "/v2/repository/models/double/load", "double", None, 200),
        ("GET", "/v2/models/stats", None, None, 200), ("POST", "/v2/models/none/infer", "none", None, 404),
        ("GET", "/metrics", None, None, 200),
    ]  # fmt: skip
    assert {(one["lane"], one["peer"]) for one in lines()} == {("http", "127.0.0.1")}
    assert "secret" not in json.dumps(lines())
    assert lines()[1]["message"].startswith("http 127.0.0.1 POST /v2/models/double/infer 200 ")


def test_frames_are_told_good_and_bad(start, lines, tmp_path):
    start()
    with Client(tmp_path / "sock") as client:
        client.infer({"x": X})
        client.infer({"x": X}, "double:1")
        for model, inputs in (("none", {"x": X}), ("double", {"x": X.astype(np.float64)})):
            with pytest.raises(Unanswered):
                client.infer(inputs, model)
    with socket.socket(socket.AF_UNIX) as sock:  # what names no model at all
        sock.settimeout(LONG)
        sock.connect(str(tmp_path / "sock"))
        sock.sendall(HEADER.pack(MAGIC, INFER, 0, 0, 0, 4, 4) + b"{...")
        reply = sock.recv(65536)
    assert said(lines(), "lane", "peer", "method", "model", "version", "status") == [
        ("frames", "unix", "infer", None, None, 200), ("frames", "unix", "infer", "double", "1", 200),
        ("frames", "unix", "infer", "none", None, 404), ("frames", "unix", "infer", "double", None, 400),
        ("frames", "unix", "infer", None, None, 400),
    ]  # fmt: skip
    assert lines()[-1]["bytes"] == len(reply) and lines()[1]["message"].startswith("frames unix infer double:1 200 ")


def test_grpc_is_told_call_by_call_and_each_request_of_a_stream(start, lines):
    triton = pytest.importorskip("tritonclient.grpc")
    lane = pytest.importorskip("edgewright.runtime.lanes.rpc.lane").GrpcLane
    server = start(beside=[lambda service, budget: lane(service, Address(port=0, scheme="grpc"), budget)])
    x = triton.InferInput("x", [1, 4], "FP32")
    x.set_data_from_numpy(X)
    wrong = triton.InferInput("y", [1, 4], "FP32")
    wrong.set_data_from_numpy(X)
    with triton.InferenceServerClient(server.lanes[1].addresses[0].place) as client:
        assert client.is_server_live() and client.is_model_ready("double")
        client.infer("double", [x], "1")
        for model, inputs in (("none", [x]), ("double", [wrong])):
            with pytest.raises(triton.InferenceServerException):
                client.infer(model, inputs)
        with pytest.raises(triton.InferenceServerException):
            client.load_model("none")
        over = []
        client.start_stream(lambda result, error: over.append(error))
        client.async_stream_infer("double", [x])
        client.async_stream_infer("none", [x])
        client.stop_stream()
    assert [error is None for error in over] == [True, False]
    assert said(lines(), "method", "model", "version", "status", "code") == [
        ("ServerLive", None, None, 200, "OK"), ("ModelReady", "double", None, 200, "OK"),
        ("ModelInfer", "double", "1", 200, "OK"), ("ModelInfer", "none", None, 404, "NOT_FOUND"),
        ("ModelInfer", "double", None, 400, "INVALID_ARGUMENT"),
        ("RepositoryModelLoad", "none", None, 404, "NOT_FOUND"),
        ("ModelStreamInfer", "double", None, 200, "OK"), ("ModelStreamInfer", "none", None, 404, "NOT_FOUND"),
    ]  # fmt: skip
    assert {(one["lane"], one["peer"]) for one in lines()} == {("grpc", "127.0.0.1")}
    assert lines()[2]["message"].startswith("grpc 127.0.0.1 ModelInfer double:1 OK ") and lines()[2]["bytes"] > 16


def test_a_log_that_is_off_is_on_nobodys_path(start, lines, tmp_path, monkeypatch):
    monkeypatch.setattr(accesslog, "tell", None)  # whoever called it would fail
    server = start(access_log=False)
    connection = http.client.HTTPConnection("127.0.0.1", server.addresses[0].port, timeout=LONG)
    connection.request("POST", "/v2/models/double/infer", INFER_JSON)
    assert connection.getresponse().status == 200
    with Client(tmp_path / "sock") as client:
        client.infer({"x": X})
        handlers = [one._handler for one in server._sockets.connections]
        assert set(handlers) == {server._routes, server._routes.inference.frame}, "nothing is wrapped around them"
    connection.close()
    assert lines() == []
