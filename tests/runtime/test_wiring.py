"""What ``runtime.toml`` turns on, in a server as a user starts it."""

import json
import os
import queue
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request

import numpy as np
import pytest

from edgewright.formats import save
from edgewright.runtime import Runtime
from edgewright.runtime.config import load_config
from edgewright.runtime.faults import NotReady
from edgewright.runtime.loading import loader
from edgewright.runtime.loading.loader import Settings
from edgewright.runtime.server import Server
from edgewright.testing.build import Build

LONG = 120.0
X = np.arange(4, dtype=np.float32).reshape(1, 4)


def multiply(path, factor, ballast=0):
    """A model that multiplies; ``ballast``: floats of weights that change nothing."""
    build = Build()
    made = build.node("Mul", build.input("x", ["n", 4]), build.constant(np.float32(factor)))
    if ballast:
        weights = build.constant(np.random.default_rng(int(factor)).random((4, ballast), np.float32))
        wide = build.node("ReduceSum", build.node("MatMul", made, weights), keepdims=1)
        made = build.node("Add", made, build.node("Mul", wide, build.constant(np.float32(0))))
    build.output(made, ["n", 4])
    path.parent.mkdir(parents=True, exist_ok=True)
    save(build.model(), path.parent / "made")
    (path.parent / "made" / "model.onnx").rename(path)
    (path.parent / "made").rmdir()


class Program:
    """``edgewright serve`` as a child."""

    def __init__(self, models, text, *more):
        config = models.parent / "runtime.toml"
        config.write_text(text)
        command = [sys.executable, "-m", "edgewright", "serve", str(models), "--http", "127.0.0.1:0"]
        command += ["--config", str(config), *more]
        self.child = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        self.said, self.ports = [], []
        while len(self.ports) < 1 + ("--grpc" in more):
            line = self.child.stderr.readline()
            assert line, self.said
            self.said.append(line)
            self.ports += re.findall(r"(?:http|grpc)://127\.0\.0\.1:(\d+)", line)

    def ask(self, path, told=None, method=None):
        data = None if told is None else json.dumps(told).encode()
        asked = urllib.request.Request(f"http://127.0.0.1:{self.ports[0]}{path}", data, method=method)
        try:
            with urllib.request.urlopen(asked, timeout=LONG) as answer:
                return answer.status, json.loads(answer.read() or b"null"), answer.headers
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read()), error.headers

    def infer(self, name, **parameters):
        piece = {"name": "x", "datatype": "FP32", "shape": [1, 4], "data": X.ravel().tolist()}
        return self.ask(f"/v2/models/{name}/infer", {"inputs": [piece], "parameters": parameters})

    def metrics(self):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.ports[0]}/metrics", timeout=LONG) as answer:
            return answer.read().decode()


@pytest.fixture
def start(tmp_path):
    running = []

    def make(text, *more):
        running.append(Program(tmp_path / "models", text, *more))
        return running[-1]

    yield make
    for program in running:
        program.child.send_signal(signal.SIGTERM)
        assert program.child.wait(LONG) == 0
        program.child.stderr.close()


def test_a_cache_by_configuration(start, tmp_path):
    multiply(tmp_path / "models" / "m.onnx", 2)
    program = start("[server]\ncache_mb = 1\n")
    first, second = program.infer("m")[1], program.infer("m")[1]
    assert first == second
    (stats,) = program.ask("/v2/models/m/stats")[1]["model_stats"]
    assert stats["inference_stats"]["cache_hit"]["count"] == 1


def test_versions_share_requests_by_key_and_a_third_watches(start, tmp_path):
    for version in ("1", "2", "3"):
        multiply(tmp_path / "models" / "m" / f"{version}.onnx", int(version))
    program = start('[models.m]\nsplit = { 1 = 50, 2 = 50 }\nshadow = { version = "3", share = 0.5 }\n')
    by_key = {key: {program.infer("m", key=str(key))[1]["model_version"] for _ in range(3)} for key in range(24)}
    assert all(len(versions) == 1 for versions in by_key.values()), "a key has one version"
    assert {version for versions in by_key.values() for version in versions} == {"1", "2"}
    assert "shadows" in program.ask("/v2/models/stats")[1]


def test_the_access_log_of_a_server_has_all_lanes(start, tmp_path):
    triton = pytest.importorskip("tritonclient.grpc")
    multiply(tmp_path / "models" / "m.onnx", 2)
    program = start("", "--grpc", "127.0.0.1:0", "--access-log")
    assert program.infer("m")[0] == 200
    assert program.child.stderr.readline()[25:].startswith("access    http 127.0.0.1 POST /v2/models/m/infer 200 ")
    with triton.InferenceServerClient(f"127.0.0.1:{program.ports[1]}") as client:
        assert client.is_model_ready("m")
    assert program.child.stderr.readline()[25:].startswith("access    grpc 127.0.0.1 ModelReady m OK ")


def test_an_isolated_model_is_served_from_a_process_of_its_own(start, tmp_path):
    multiply(tmp_path / "models" / "m.onnx", 2)
    multiply(tmp_path / "models" / "n.onnx", 3)
    program = start("[models.m]\nisolated = true\n")
    children = subprocess.run(["pgrep", "-P", str(program.child.pid)], capture_output=True, text=True).stdout.split()
    assert children
    assert program.infer("m")[1]["outputs"][0]["data"] == [0, 2, 4, 6]
    for child in children:
        os.kill(int(child), signal.SIGKILL)
    assert program.infer("n")[1]["outputs"][0]["data"] == [0, 3, 6, 9], "others go on"
    while (answered := program.infer("m"))[0] != 200:  # until the worker is replaced
        assert answered[0] in (500, 503), answered
    assert answered[1]["outputs"][0]["data"] == [0, 2, 4, 6]


def test_models_that_do_not_fit_take_turns(start, tmp_path):
    for name, factor in (("a", 2), ("b", 3)):
        multiply(tmp_path / "models" / f"{name}.onnx", factor, ballast=1_000_000)  # 16 MB each
    program = start("[server]\nmemory_mb = 60\n")
    index = {entry["name"]: entry for entry in program.ask("/v2/repository/index", {})[1]}
    assert index["a"]["state"] == "READY" and index["b"]["state"] == "UNAVAILABLE"
    assert "memory_mb" in index["b"]["reason"] and "loaded again" in index["b"]["reason"]
    status, told, headers = program.infer("b")
    assert status == 503 and "memory_mb" in told["error"] and headers["Retry-After"] == "1"
    assert "it is being loaded now" in told["error"] and "when somebody asks" not in told["error"]
    while (answered := program.infer("b"))[0] != 200:
        assert answered[0] == 503, answered
    assert answered[1]["outputs"][0]["data"] == [0, 3, 6, 9]
    assert program.infer("a")[0] == 503, "it made room"


def test_a_model_larger_than_the_budget_is_refused(tmp_path):
    multiply(tmp_path / "models" / "a.onnx", 2, ballast=1_000_000)
    (tmp_path / "runtime.toml").write_text("[server]\nmemory_mb = 5\n")
    serving = Runtime(tmp_path / "models", config=tmp_path / "runtime.toml")
    with serving, pytest.raises(NotReady, match="raise memory_mb or serve a smaller model"):
        serving.infer({"x": X}, "a")


def test_what_is_measured_counts(tmp_path, monkeypatch):
    for name, factor in (("a", 2), ("b", 3)):
        multiply(tmp_path / "models" / f"{name}.onnx", factor, ballast=100_000)  # 1.6 MB, and 5 when open
    (tmp_path / "runtime.toml").write_text("[server]\nmemory_mb = 9\n")
    sizes = iter([10_000_000, 5_000_000])
    monkeypatch.setattr(loader, "held_bytes", lambda *_: next(sizes, 5_000_000))
    serving = Runtime(tmp_path / "models", config=tmp_path / "runtime.toml")
    with serving:
        index = {entry.name: entry for entry in serving.repository.index()}
        assert index["a"].state == "UNAVAILABLE"
        assert index["a"].reason.startswith("it needs 10.0 MB, more than the 9.0 MB that memory_mb allows")
        assert "when somebody asks" not in index["a"].reason
        assert serving.infer({"x": X}, "b")


def test_when_it_is_open_the_coldest_make_room(tmp_path, monkeypatch):
    multiply(tmp_path / "models" / "a.onnx", 2, ballast=100_000)
    (tmp_path / "runtime.toml").write_text("[server]\nmemory_mb = 9\n")
    sizes = iter([5_000_000, 6_000_000])
    monkeypatch.setattr(loader, "held_bytes", lambda *_: next(sizes))
    settings = Settings(tmp_path / "models", config=load_config(tmp_path / "runtime.toml"), watch_s=0.0)
    server = Server(settings, [])
    try:
        multiply(tmp_path / "models" / "b.onnx", 3, ballast=100_000)  # said to take 3.2 MB, until it is open
        told = queue.SimpleQueue()
        server.loader.load("b", told.put)
        assert told.get(timeout=LONG) is None
        index = {entry.name: entry for entry in server.repository.index()}
        assert index["b"].state == "READY" and index["a"].state == "UNAVAILABLE"
        assert index["a"].reason.startswith("it was unloaded to make room for others")
    finally:
        server.close()


def test_a_model_that_answers_from_the_cache_is_not_cold(tmp_path, monkeypatch):
    (tmp_path / "runtime.toml").write_text("[server]\nmemory_mb = 15\ncache_mb = 1\n")
    monkeypatch.setattr(loader, "held_bytes", lambda *_: 5_000_000)
    for name, factor in (("a", 2), ("b", 3)):
        multiply(tmp_path / "models" / f"{name}.onnx", factor)
    settings = Settings(tmp_path / "models", config=load_config(tmp_path / "runtime.toml"), watch_s=0.0)
    server, told = Server(settings, []), queue.SimpleQueue()

    def ask(name):
        return server.desk.wait(server.repository.find(name), {"x": X})

    try:
        for name in ("a", "b"):
            ask(name)
        for name, factor in (("c", 4), ("d", 5)):
            multiply(tmp_path / "models" / f"{name}.onnx", factor)
            server.loader.load(name, told.put)
            assert told.get(timeout=LONG) is None
            ask("a")
        assert server.repository.find("a").stats.hits == 2
        index = {entry.name: entry.state for entry in server.repository.index()}
        assert index == {"a": "READY", "b": "UNAVAILABLE", "c": "READY", "d": "READY"}
    finally:
        server.close()


def test_grpc_loads_unloads_and_splits(start, tmp_path):
    client = pytest.importorskip("tritonclient.grpc")
    for version in ("1", "2"):
        multiply(tmp_path / "models" / "m" / f"{version}.onnx", int(version))
    program = start("[models.m]\nsplit = { 1 = 50, 2 = 50 }\n", "--grpc", "127.0.0.1:0")
    with client.InferenceServerClient(f"127.0.0.1:{program.ports[1]}") as connection:
        asked = client.InferInput("x", [1, 4], "FP32")
        asked.set_data_from_numpy(X)
        seen = set()
        for key in range(24):
            answers = [connection.infer("m", [asked], parameters={"key": str(key)}) for _ in range(2)]
            (version,) = {answer.get_response().model_version for answer in answers}
            seen.add(version)
        assert seen == {"1", "2"}
        connection.unload_model("m")
        assert not connection.is_model_ready("m")
        connection.load_model("m")
        assert connection.is_model_ready("m")
        with pytest.raises(client.InferenceServerException, match="no model 'nothing'"):
            connection.load_model("nothing")


def test_what_the_configuration_names_and_is_not_there_is_told_at_the_start(start, tmp_path):
    for version in ("1", "2"):
        multiply(tmp_path / "models" / "m" / f"{version}.onnx", 2)
    text = "[models.m]\nsplit = {1 = 1, 7 = 1}\nshadow = {version = '9'}\n[models.other]\nsplit = {1 = 1}\n"
    program = start(text)
    warned = [line.split("warning: ", 1)[1].strip() for line in program.said if "warning: " in line]
    assert warned == [
        "[models.'other'] is about a model that is not there: requests for it are told so (404)",
        "[models.'m'] split names version 7, which is not there: the others answer its share",
        "[models.'m'] shadow names version 9, which is not there: nothing is compared",
    ]
