"""The server over real sockets: by hand, byte by byte, and with Triton's own client."""

import http.client
import json
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from edgewright.core.errors import InputError, TrustError
from edgewright.formats import save
from edgewright.runtime import Runtime
from edgewright.runtime.addresses import Address
from edgewright.runtime.config import Config
from edgewright.runtime.faults import BadRequest, Infeasible, NotFound, NotReady
from edgewright.runtime.lanes.http import Limits
from edgewright.runtime.loading.opening import Settings
from edgewright.runtime.server import Server, serving
from edgewright.testing.build import Build

tritonclient = pytest.importorskip("tritonclient.http")
LONG = 60.0
X = np.arange(8, dtype=np.float32).reshape(2, 4)


def doubling(factor=2.0):
    build = Build()
    build.output(build.node("Mul", build.input("x", ["n", 4]), build.constant(np.float32(factor))), ["n", 4])
    return build.model()


@pytest.fixture
def folder(tmp_path):
    """Two models and one that cannot be loaded."""
    for name, factor in (("double", 2.0), ("triple", 3.0)):
        save(doubling(factor), tmp_path / "made" / name)
        (tmp_path / "models").mkdir(exist_ok=True)
        (tmp_path / "made" / name / "model.onnx").rename(tmp_path / "models" / f"{name}.onnx")
    (tmp_path / "models" / "broken.onnx").write_bytes(b"no model")
    (tmp_path / "models" / "notes.txt").write_text("not served")
    return tmp_path / "models"


@pytest.fixture
def started(folder):
    """Starts servers, and stops them."""
    running = []

    def start(path=folder, limits=None, unix=None):
        addresses = [Address(port=0)] + ([Address(path=unix)] if unix else [])
        server = Server(Settings(Path(path), config=Config(limits=limits or Limits())), addresses)
        running.append((server, serving(server)))
        return server

    yield start
    for server, thread in running:
        server.stop()
        thread.join(LONG)
        assert not thread.is_alive()


def ask(server, method, target, body=None, headers=None):
    address = server.addresses[0]
    connection = http.client.HTTPConnection(address.host, address.port, timeout=LONG)
    connection.request(method, target, body, headers or {})
    answer = connection.getresponse()
    raw = answer.read()
    connection.close()
    return answer.status, (json.loads(raw) if raw else None)


def said(server, data):
    """What a client that sends exactly these bytes gets back, until the server closes."""
    address = server.addresses[0]
    with socket.create_connection((address.host, address.port), LONG) as sock:
        sock.sendall(data)
        found = b""
        while chunk := sock.recv(65536):
            found += chunk
    return found


def infer(x=X, **more):
    told = {"inputs": [{"name": "x", "datatype": "FP32", "shape": list(x.shape), "data": x.ravel().tolist()}], **more}
    return json.dumps(told)


def test_tritons_own_client_finds_everything(started):
    server = started()
    client = tritonclient.InferenceServerClient(f"127.0.0.1:{server.addresses[0].port}")
    assert client.is_server_live() and client.is_server_ready() and client.is_model_ready("double")
    assert not client.is_model_ready("broken") and not client.is_model_ready("nonesuch")
    assert client.get_server_metadata()["name"] == "edgewright"
    assert client.get_model_metadata("double")["inputs"] == [{"name": "x", "datatype": "FP32", "shape": [-1, 4]}]
    assert client.get_model_config("double")["input"][0]["data_type"] == "TYPE_FP32"
    index = {entry["name"]: entry for entry in client.get_model_repository_index()}
    assert index["double"]["state"] == "READY" and index["broken"]["state"] == "UNAVAILABLE"
    assert "broken.onnx" in index["broken"]["reason"]
    given = tritonclient.InferInput("x", list(X.shape), "FP32")
    output = client.get_model_metadata("triple")["outputs"][0]["name"]
    for sent in (True, False):
        given.set_data_from_numpy(X, binary_data=sent)
        for back in (True, False):
            wanted = [tritonclient.InferRequestedOutput(output, back)]
            found = client.infer("triple", [given], outputs=wanted, request_id="7")
            np.testing.assert_array_equal(found.as_numpy(wanted[0].name()), 3 * X)
            assert found.get_response()["id"] == "7"
    for packed in ("gzip", "deflate"):
        given.set_data_from_numpy(X)
        assert client.infer("double", [given], request_compression_algorithm=packed) is not None
    pending = [client.async_infer("double", [given]) for _ in range(4)]
    assert all(p.get_result() is not None for p in pending)
    stats = client.get_inference_statistics("triple")["model_stats"][0]
    assert (
        stats["execution_count"] == 4
        and stats["inference_count"] >= 4
        and stats["inference_stats"]["fail"]["count"] == 0
    )
    client.close()


@pytest.mark.parametrize(
    ("method", "target", "body", "status", "says"),
    [
        ("GET", "/v2/models/nonesuch", None, 404, "there are: double, triple"),
        ("GET", "/v2/models/broken", None, 503, "is not ready"),
        ("GET", "/v2/models/double/versions/9", None, 404, "no version '9'"),
        ("GET", "/v2/nowhere", None, 404, "nothing at"),
        ("GET", "/", None, 404, "nothing at"),
        ("PUT", "/v2", None, 405, "use GET"),
        ("GET", "/v2/models/double/infer", None, 405, "use POST"),
        ("POST", "/v2/models/double/infer", "{", 400, "no JSON"),
        ("POST", "/v2/models/double/infer", infer(X[:, :3]), 400, "must have shape"),
        ("POST", "/v2/models/double/infer", infer(outputs=[{"name": "q"}]), 400, "no output 'q'"),
        ("POST", "/v2/models/double/infer", infer(parameters={"timeout": 1}), 503, "ms, it has 0"),
        ("POST", "/v2/models/nonesuch/infer", infer(), 404, "no model is named"),
    ],
)
def test_what_goes_wrong_has_its_status_and_a_sentence(started, method, target, body, status, says):
    found, told = ask(started(), method, target, body)
    assert found == status and says in told["error"]


def test_a_body_in_another_encoding_or_cut_short_is_refused(started):
    server, target = started(), "/v2/models/double/infer"
    for headers, says in (
        ({"Content-Encoding": "br"}, "use gzip or deflate"),
        ({"Content-Encoding": "gzip"}, "is no gzip"),
        ({"Inference-Header-Content-Length": "9999"}, "the body has"),
        ({"Inference-Header-Content-Length": "-1"}, "no number"),
    ):
        status, told = ask(server, "POST", target, infer(), headers)
        assert status == 400 and says in told["error"]


def test_requests_in_pieces_in_chunks_and_one_behind_the_other(started):
    server = started()
    body = infer().encode()
    head = b"POST /v2/models/double/infer HTTP/1.1\r\nHost: localhost\r\n"
    whole = head + b"Content-Length: %d\r\n\r\n%s" % (len(body), body)
    chunked = head + b"Transfer-Encoding: chunked\r\n\r\n" + b"".join(
        b"%x\r\n%s\r\n" % (len(part), part) for part in (body[:10], body[10:])
    ) + b"0\r\n\r\n"  # fmt: skip
    last = b"GET /v2/health/live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    found = said(server, whole + chunked + whole + last)
    assert found.count(b"HTTP/1.1 200 OK") == 4 and found.count(b'"data":[0.0,2.0,4.0') == 3
    address = server.addresses[0]
    with socket.create_connection((address.host, address.port), LONG) as sock:
        for byte in whole:
            sock.sendall(bytes([byte]))
        assert b"200 OK" in sock.recv(65536)


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"GET /v2 HTTP/1.1\r\n" + b"A: " + b"x" * 40000, 431),
        (b"POST /v2/models/double/infer HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n", 413),
        (b"POST /v2/models/double/infer HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
        (b"POST /v2 HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n", 400),
        (b"POST /v2 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
        (b"POST /v2 HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nfffffff\r\n", 413),
        (b"POST /v2 HTTP/1.1\r\nContent-Length: -5\r\n\r\n", 400),
    ],
)
def test_what_is_no_request_gets_an_answer_and_the_connection_ends(started, data, status):
    server = started(limits=Limits(body_bytes=1 << 20))
    assert said(server, data).startswith(b"HTTP/1.1 %d " % status)
    assert ask(server, "GET", "/v2/health/live")[0] == 200, "nobody else is harmed"


def test_many_clients_each_get_their_own(started):
    server = started()
    address, wrong = server.addresses[0], []

    def client(seed):
        made = np.random.default_rng(seed)
        connection = http.client.HTTPConnection(address.host, address.port, timeout=LONG)
        for _ in range(30):
            x = made.integers(0, 100, (int(made.integers(1, 5)), 4)).astype(np.float32)
            connection.request("POST", "/v2/models/double/infer", infer(x, id=str(seed)))
            told = json.loads(connection.getresponse().read())
            if told["id"] != str(seed) or told["outputs"][0]["data"] != (2 * x).ravel().tolist():
                wrong.append(told)
        connection.close()

    threads = [threading.Thread(target=client, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LONG)
    assert not wrong


def test_a_unix_socket_speaks_the_same_and_is_gone_afterwards(started, folder, tmp_path):
    place = tmp_path / "edge.sock"
    server = started(unix=place)
    assert place.stat().st_mode & 0o077 == 0
    with pytest.raises(InputError, match="another server listens"):
        Server(Settings(folder), [Address(path=place)])
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(str(place))
        sock.sendall(b"GET /v2/health/live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        assert sock.recv(65536).startswith(b"HTTP/1.1 200")
    server.stop()


def test_in_the_same_process(folder, tmp_path):
    with Runtime(folder) as runtime:
        (found,) = runtime.infer({"x": X}, "triple").values()
        np.testing.assert_array_equal(found, 3 * X)
        with pytest.raises(NotFound, match="name the model"):
            runtime.infer({"x": X})
        with pytest.raises(NotReady):
            runtime.infer({"x": X}, "broken")
        with pytest.raises(BadRequest):
            runtime.infer({"z": X}, "double")
        with pytest.raises(Infeasible):
            runtime.infer({"x": X}, "double", deadline_ms=1e-6)
    with Runtime(folder / "double.onnx") as runtime:
        assert runtime.infer({"x": X}, deadline_ms=1e6)
    with pytest.raises(InputError, match="no bundle and no model"):
        (tmp_path / "empty").mkdir()
        Runtime(tmp_path / "empty")
    with pytest.raises(InputError):
        Runtime(folder / "broken.onnx")


def test_a_bundle_that_does_not_verify_is_not_served(tmp_path):
    (tmp_path / "bundle").mkdir()
    (tmp_path / "bundle" / "manifest.json").write_text("{}")
    with pytest.raises((InputError, TrustError)):
        Runtime(tmp_path / "bundle")


def test_the_program_serves_until_it_is_told_to_stop(folder):
    command = [sys.executable, "-m", "edgewright.runtime", "--models-dir", str(folder), "--http", "127.0.0.1:0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as child:
        line = ""
        while " listening " not in line:
            line = child.stderr.readline()
            assert line, "it ended before it listened"
        port = int(line.rpartition(":")[2])
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=LONG)
        connection.request("POST", "/v2/models/double/infer", infer())
        assert connection.getresponse().status == 200
        connection.close()
        child.send_signal(signal.SIGTERM)
        assert child.wait(LONG) == 0


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--http", "0.0.0.0:0"], "--insecure"),
        (["--http", "nowhere"], "no address"),
        (["--http", "192.0.2.1:0", "--insecure"], "cannot listen"),
        (["--key", "nowhere.pub"], "nowhere.pub"),
    ],
)
def test_wrong_use_gets_one_line(folder, arguments, says):
    command = [sys.executable, "-m", "edgewright.runtime", "--models-dir", str(folder), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=LONG, check=False)
    assert done.returncode == 2 and says in done.stderr and done.stderr.count("\n") == 1
