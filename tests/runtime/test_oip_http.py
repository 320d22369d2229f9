"""The protocol over HTTP, in full: by hand and with Triton's own client."""

import gzip
import http.client
import json
import os
import zlib
from contextlib import contextmanager
from multiprocessing.shared_memory import SharedMemory
from pathlib import Path

import numpy as np
import pytest

from edgewright.formats import save
from edgewright.runtime.addresses import Address
from edgewright.runtime.config import Config, ServerTable
from edgewright.runtime.loading.opening import Settings
from edgewright.runtime.oip.encodings import chosen
from edgewright.runtime.server import Server, serving
from edgewright.testing.build import Build

triton = pytest.importorskip("tritonclient.http")
shm = pytest.importorskip("tritonclient.utils.shared_memory")
LONG = 60.0
X = np.arange(8, dtype=np.float32).reshape(2, 4)
TYPES = {
    "BOOL": "bool", "UINT8": "uint8", "INT32": "int32", "UINT64": "uint64", "INT64": "int64", "FP16": "float16",
    "FP64": "float64", "BYTES": "str",
}  # fmt: skip


def model(dtype="float32", inputs=1, op="Identity", shape=("n", 4)):
    build = Build()
    for number in range(inputs):
        x = build.input(f"x{number}", list(shape), dtype)
        build.output(build.node(op, x), list(shape), dtype=dtype)
    return build.model()


@contextmanager
def server(folder, address=None, **more):
    made = Server(Settings(Path(folder), **more), [address or Address(port=0)])
    thread = serving(made)
    try:
        yield made
    finally:
        made.stop()
        thread.join(LONG)
        assert not thread.is_alive()


def put(folder, name, made):
    save(made, folder / "made" / name)
    (folder / "models").mkdir(exist_ok=True)
    (folder / "made" / name / "model.onnx").rename(folder / "models" / f"{name}.onnx")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("served")
    put(place, "one", model())
    put(place, "two", model(inputs=2))
    put(place, "log", model(op="Log"))
    put(place, "a b%", model())
    for kind, dtype in TYPES.items():
        put(place, kind, model(dtype))
    (place / "models" / "broken.onnx").write_bytes(b"no model")
    return place / "models"


@pytest.fixture(scope="module")
def served(folder):
    with server(folder) as made:
        yield made


@pytest.fixture
def client(served):
    with triton.InferenceServerClient(f"127.0.0.1:{served.addresses[0].port}") as made:
        yield made


def ask(made, method, target, body=None, headers=None):
    connection = http.client.HTTPConnection(made.addresses[0].host, made.addresses[0].port, timeout=LONG)
    if isinstance(body, dict | list):
        body = json.dumps(body)
    connection.request(method, target, body, headers or {})
    answer = connection.getresponse()
    raw = answer.read()
    connection.close()
    return answer.status, raw, answer.headers


def told(made, method, target, body=None, headers=None):
    status, raw, _ = ask(made, method, target, body, headers)
    return status, json.loads(raw) if raw else None


def given(x=X, name="x0", kind="FP32", binary=True):
    made = triton.InferInput(name, list(x.shape), kind)
    made.set_data_from_numpy(x, binary_data=binary)
    return made


def output(client, name):
    return client.get_model_metadata(name)["outputs"][0]["name"]


@pytest.mark.parametrize("kind", sorted(TYPES))
@pytest.mark.parametrize("sent", [True, False])
@pytest.mark.parametrize("back", [True, False])
def test_every_datatype_comes_through_in_all_four_ways(client, kind, sent, back):
    x = {
        "BYTES": np.array([["a", "é", "", "long" * 9]], object), "BOOL": np.array([[True, False, True, True]]),
        "UINT64": np.array([[0, 1, 2**63, 2**64 - 1]], np.uint64),
    }.get(kind, np.array([[0, 1, 2, 3]], TYPES[kind]))  # fmt: skip
    if kind == "FP16" and not sent:
        return  # Triton's client declines: by hand below
    wanted = [triton.InferRequestedOutput(output(client, kind), back)]
    found = client.infer(kind, [given(x, kind=kind, binary=sent)], outputs=wanted)
    entry = found.get_response()["outputs"][0]
    assert entry["datatype"] == kind and entry["shape"] == [1, 4] and ("data" in entry) != back
    values = entry["data"] if "data" in entry else found.as_numpy(entry["name"]).ravel().tolist()
    values = [v.decode() if isinstance(v, bytes) else v for v in values]
    assert values == x.ravel().tolist()


@pytest.mark.parametrize("kind", ["FP16"])
def test_half_precision_travels_in_json_too(served, kind):
    entry = {"name": "x0", "datatype": kind, "shape": [1, 4], "data": [[0.5, -2, 1e-3, 3]]}
    status, found = told(served, "POST", f"/v2/models/{kind}/infer", {"inputs": [entry]})
    assert status == 200
    np.testing.assert_allclose(found["outputs"][0]["data"], entry["data"][0], rtol=2**-8)


def test_strings_that_are_no_text_are_refused(served):
    head = {"inputs": [{"name": "x0", "datatype": "BYTES", "shape": [0, 4], "parameters": {"binary_data_size": 0}}]}
    assert told(served, "POST", "/v2/models/BYTES/infer", head)[0] == 200, "none is fine"
    head["inputs"][0] |= {"shape": [1, 4], "parameters": {"binary_data_size": 20}}
    raw = json.dumps(head).encode()
    body, sizes = raw + b"\1\0\0\0\xff" * 4, {"Inference-Header-Content-Length": str(len(raw))}
    status, found = told(served, "POST", "/v2/models/BYTES/infer", body, sizes)
    assert status == 400 and "UTF-8" in found["error"]


def test_numbers_that_json_lacks_travel_as_their_names(served, client):
    x = np.array([[1, 0, -1, np.inf]], np.float32)
    status, raw, _ = ask(served, "POST", "/v2/models/log/infer", {"inputs": [
        {"name": "x0", "datatype": "FP32", "shape": [1, 4], "data": [1, 0, -1, "Infinity"]}]})  # fmt: skip
    assert status == 200

    def refuse(token):
        raise AssertionError(f"{token} is no JSON")

    assert json.loads(raw, parse_constant=refuse)["outputs"][0]["data"] == [0.0, "-Infinity", "NaN", "Infinity"]
    name = output(client, "log")
    found = client.infer("log", [given(x)], outputs=[triton.InferRequestedOutput(name, False)]).as_numpy(name)
    np.testing.assert_array_equal(found, [[0, -np.inf, np.nan, np.inf]])


@pytest.mark.parametrize("body", [X.tobytes(), X[:1].tobytes(), b""])
def test_a_raw_body_is_the_only_input(served, body):
    status, raw, headers = ask(served, "POST", "/v2/models/one/infer", body, {"Inference-Header-Content-Length": "0"})
    size = int(headers["Inference-Header-Content-Length"])
    assert status == 200 and raw[size:] == body
    assert json.loads(raw[:size])["outputs"][0]["shape"] == [len(body) // 16, 4]


@pytest.mark.parametrize(
    ("name", "body", "says"),
    [
        ("one", b"123", "3 bytes came"),
        ("two", X.tobytes(), "has 2"),
        ("BYTES", b"\4\0\0\0abcd", "cannot hold 4 elements"),
    ],
)
def test_a_raw_body_that_does_not_tell_its_shape_is_refused(served, name, body, says):
    status, found = told(served, "POST", f"/v2/models/{name}/infer", body, {"Inference-Header-Content-Length": "0"})
    assert status == 400 and says in found["error"]


@pytest.mark.parametrize("algorithm", ["gzip", "deflate"])
@pytest.mark.parametrize("rows", [1, 100, 5000])
def test_bodies_packed_both_ways(client, algorithm, rows):
    x = np.zeros((rows, 4), np.float32)
    x[0] = X[1]
    for binary in (True, False):
        wanted = [triton.InferRequestedOutput(output(client, "one"), binary)]
        found = client.infer(
            "one", [given(x)], outputs=wanted, request_compression_algorithm=algorithm,
            response_compression_algorithm=algorithm,
        )  # fmt: skip
        np.testing.assert_array_equal(found.as_numpy(wanted[0].name()), x)


@pytest.mark.parametrize(
    ("accepted", "far", "near"),
    [("gzip, deflate", "gzip", ""), ("deflate", "deflate", "deflate"), ("gzip;q=0, deflate;q=0.5", "deflate", ""),
     ("*", "gzip", "gzip"), ("br", "", ""), ("gzip;q=0", "", ""), ("identity", "", ""), ("gzip;q=zz", "", ""),
     ("deflate;q=1.0,gzip;q=0.5", "deflate", ""), ("", "", ""), ("*;q=0", "", "")],
)  # fmt: skip
def test_the_encoding_that_a_client_likes(accepted, far, near):
    assert (chosen(accepted), chosen(accepted, near=True)) == (far, near)


@pytest.mark.parametrize(("accepted", "packed"), [("gzip", "gzip"), ("deflate", "deflate"), ("br", None)])
def test_the_reply_is_packed_as_the_client_likes(served, accepted, packed):
    x = np.ones((100, 4), np.float32)
    status, raw, headers = ask(
        served, "POST", "/v2/models/one/infer", x.tobytes(),
        {"Inference-Header-Content-Length": "0", "Accept-Encoding": accepted},
    )  # fmt: skip
    assert status == 200 and headers["Content-Encoding"] == packed
    whole = {None: bytes, "gzip": gzip.decompress, "deflate": zlib.decompress}[packed](raw)
    assert whole.endswith(x.tobytes()) and len(whole) == int(headers["Inference-Header-Content-Length"]) + x.nbytes


def test_what_follows_a_packed_body_is_refused(served):
    for body in (gzip.compress(b"{}") + b"more", gzip.compress(b"{}")[:-1]):
        status, found = told(served, "POST", "/v2/models/one/infer", body, {"Content-Encoding": "gzip"})
        assert status == 400 and ("4 bytes follow" in found["error"] or "cut short" in found["error"])


def test_the_index_and_who_is_ready(served, client, folder):
    entries = client.get_model_repository_index()
    assert {e["name"] for e in entries if e["state"] == "UNAVAILABLE"} == {"broken"}
    status, found = told(served, "POST", "/v2/repository/index", {"ready": True})
    assert status == 200 and "broken" not in {e["name"] for e in found} and len(found) == len(entries) - 1
    assert told(served, "POST", "/v2/repository/index", {"ready": 1})[0] == 400
    assert client.is_server_ready() and client.is_model_ready("a b%") and not client.is_model_ready("broken")
    assert "one" in told(served, "GET", "/v2/health/ready")[1]["models"]
    with server(folder, config=Config(server=ServerTable(strict_readiness=True))) as strict:
        status, found = told(strict, "GET", "/v2/health/ready")
        assert status == 503 and "broken" in found["error"]
        assert told(strict, "GET", "/v2/health/live")[0] == 200


def test_statistics_have_all_that_clients_read(client):
    client.infer("two", [given(), given(name="x1")])
    with pytest.raises(Exception, match="x1"):
        client.infer("two", [given()])
    (stats,) = client.get_inference_statistics("two", "1")["model_stats"]
    assert {"last_inference", "inference_count", "execution_count", "inference_stats", "batch_stats"} <= set(stats)
    assert stats["execution_count"] == 1 and stats["last_inference"] > 1.7e12
    durations = stats["inference_stats"]
    assert set(durations) >= {
        "success",
        "fail",
        "queue",
        "compute_input",
        "compute_infer",
        "compute_output",
        "cache_hit",
    }
    assert durations["fail"]["count"] == 1 and durations["success"]["count"] == 1
    (batch,) = stats["batch_stats"]
    assert batch["batch_size"] == 1 and batch["compute_infer"] == durations["compute_infer"]
    assert len(client.get_inference_statistics()["model_stats"]) > 5


def test_the_configuration_is_in_tritons_shape(client):
    config = client.get_model_config("BYTES", "1")
    assert config["max_batch_size"] == 0 and config["backend"] == "onnxruntime"
    assert config["input"] == [
        {"name": "x0", "data_type": "TYPE_STRING", "dims": [-1, 4], "format": "FORMAT_NONE", "optional": False}
    ]
    assert len(config["output"]) == 1 and "dynamic_batching" not in config


def test_settings_that_do_nothing_are_refused(client, served):
    assert client.get_trace_settings()["trace_level"] == client.get_trace_settings("one")["trace_level"] == ["OFF"]
    named = ["log_file", "log_info", "log_warning", "log_error", "log_verbose_level", "log_format"]
    assert [*client.get_log_settings()] == named, "as Triton's text defines them; its example has other names"
    assert client.update_trace_settings(settings={"trace_level": ["OFF"]})["trace_level"] == ["OFF"]
    assert client.update_log_settings({"log_verbose_level": 0})["log_verbose_level"] == 0
    for path, change in (
        ("/v2/trace/setting", {"trace_level": ["TIMESTAMPS"]}), ("/v2/models/one/trace/setting", {"trace_rate": "1"}),
        ("/v2/logging", {"log_verbose_level": 1}), ("/v2/logging", {"nonesuch": 1}),
    ):  # fmt: skip
        status, found = told(served, "POST", path, change)
        assert status == 501 and "cannot be set" in found["error"]
    assert told(served, "POST", "/v2/logging", [])[0] == 400
    assert told(served, "GET", "/v2/models/nonesuch/trace/setting")[0] == 404


def test_models_are_loaded_and_unloaded_by_request(tmp_path):
    put(tmp_path, "a b%", model())
    put(tmp_path, "one", model())
    (tmp_path / "models" / "bad.onnx").write_bytes(b"no model")
    with (
        server(tmp_path / "models") as made,
        triton.InferenceServerClient(f"127.0.0.1:{made.addresses[0].port}") as client,
    ):
        assert "model_repository" in client.get_server_metadata()["extensions"]
        client.load_model("a b%")
        client.unload_model("one", unload_dependents=True)
        assert not client.is_model_ready("one") and client.is_model_ready("a b%")
        with pytest.raises(Exception, match="unloaded"):
            client.infer("one", [given()])
        client.load_model("one")
        assert client.is_model_ready("one")
        with pytest.raises(Exception, match="as it lies in the folder"):
            client.load_model("one", config="{}")
        (tmp_path / "models" / "bad.onnx").write_bytes(b"still no model")
        assert told(made, "POST", "/v2/repository/models/bad/load")[0] == 400
        assert told(made, "POST", "/v2/repository/models/nonesuch/unload")[0] == 404
        assert told(made, "POST", "/v2/repository/models/one/load", {"parameters": 3})[0] == 400
        assert told(made, "GET", "/v2/repository/models/one/load")[0] == 405


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [("POST", "/v2", "GET, HEAD"), ("GET", "/v2/models/one/infer", "POST"), ("PUT", "/v2/logging", "GET, POST, HEAD"),
     ("GET", "/v2/repository/index", "POST"), ("DELETE", "/v2/models/one", "GET, HEAD")],
)  # fmt: skip
def test_a_wrong_verb_is_told_the_right_ones(served, method, path, allowed):
    status, raw, headers = ask(served, method, path)
    assert status == 405 and headers["Allow"] == allowed and "use" in json.loads(raw)["error"]


@pytest.fixture
def memory():
    made = SharedMemory(create=True, size=256)
    yield made
    made.close()
    made.unlink()


def test_tensors_in_shared_memory(served, client, memory):
    client.unregister_system_shared_memory()
    client.unregister_cuda_shared_memory()
    assert client.get_cuda_shared_memory_status() == []
    client.register_system_shared_memory("in", memory.name, 128)
    client.register_system_shared_memory("out", memory.name, 64, offset=128)
    assert client.get_system_shared_memory_status("out") == [
        {"name": "out", "key": memory.name, "offset": 128, "byte_size": 64}
    ]
    assert len(client.get_system_shared_memory_status()) == 2
    for factor in (1, 2):  # the same request twice: what is looked up must not be old
        memory.buf[32:64] = (factor * X).tobytes()
        given = triton.InferInput("x0", [2, 4], "FP32")
        given.set_shared_memory("in", 32, offset=32)
        wanted = triton.InferRequestedOutput(output(client, "one"))
        wanted.set_shared_memory("out", 32, offset=16)
        entry = client.infer("one", [given], outputs=[wanted]).get_response()["outputs"][0]
        assert entry["parameters"] == {
            "shared_memory_region": "out", "shared_memory_byte_size": 32, "shared_memory_offset": 16
        } and "data" not in entry  # fmt: skip
        assert bytes(memory.buf[144:176]) == (factor * X).tobytes() and not any(memory.buf[176:192])
    for region, size, offset, says in (
        ("in", 32, 128, "has 128 bytes"), ("in", 16, 0, "shared memory"), ("gone", 32, 0, "no shared memory region"),
        ("in", 32, -1, "no whole number"), ("in", -32, 0, "a size"), (3, 32, 0, "a name"), (None, 32, 0, "no string"),
    ):  # fmt: skip
        parameters = {
            "shared_memory_region": region, "shared_memory_byte_size": size, "shared_memory_offset": offset
        }  # fmt: skip
        entry = {"name": "x0", "datatype": "FP32", "shape": [2, 4], "parameters": parameters}
        status, found = told(served, "POST", "/v2/models/one/infer", {"inputs": [entry]})
        assert status in (400, 404) and says in found["error"]
    wanted.set_shared_memory("out", 16)
    with pytest.raises(Exception, match="32 bytes"):
        client.infer("one", [given], outputs=[wanted])
    client.unregister_system_shared_memory("in")
    with pytest.raises(Exception, match="no shared memory region"):
        client.infer("one", [given])
    client.unregister_system_shared_memory()
    assert client.get_system_shared_memory_status() == []
    assert told(served, "GET", "/v2/systemsharedmemory/region/in/status")[0] == 404
    assert told(served, "POST", "/v2/cudasharedmemory/region/in/register", {})[0] == 501
    assert told(served, "GET", "/v2/cudasharedmemory/region/in/status")[0] == 404


@pytest.mark.parametrize(
    ("told_", "says"),
    [
        ({"key": "../etc/passwd"}, "no name"), ({"key": "/../etc/passwd"}, "no name"), ({"key": ".."}, "no name"),
        ({"key": ""}, "no name"), ({"key": "a/b"}, "no name"), ({"key": "a\0b"}, "no name"),
        ({"key": 3}, "takes 'key'"),
        ({"key": "nonesuch-9"}, "cannot open"), ({"byte_size": 257}, "has 256 bytes"), ({"byte_size": 0}, "a byte"),
        ({"byte_size": 2**63 - 1}, "has 256 bytes"), ({"offset": -1}, "not negative"),
        ({"offset": 256}, "has 256 bytes"),
        ({"byte_size": "9"}, "takes 'key'"), ({"byte_size": None}, "takes 'key'"),
    ],
)  # fmt: skip
def test_a_region_is_a_shared_memory_object_and_within_it(served, memory, told_, says):
    whole = {"key": memory.name, "byte_size": 256, "offset": 0} | told_
    status, found = told(served, "POST", "/v2/systemsharedmemory/region/r/register", whole)
    assert status == 400 and says in found["error"]


def test_links_and_regions_that_shrink_harm_nobody(served, client, memory):
    link = Path("/dev/shm") / f"{memory.name}-link"
    link.symlink_to("/etc/passwd")
    try:
        with pytest.raises(Exception, match="cannot open"):
            client.register_system_shared_memory("r", link.name, 16)
    finally:
        link.unlink()
    client.register_system_shared_memory("r", memory.name, 128)
    with pytest.raises(Exception, match="already"):
        client.register_system_shared_memory("r", memory.name, 128)
    os.truncate(Path("/dev/shm") / memory.name, 0)
    inside = triton.InferInput("x0", [2, 4], "FP32")
    inside.set_shared_memory("r", 32)
    wanted = triton.InferRequestedOutput(output(client, "one"))
    wanted.set_shared_memory("r", 32)
    for inputs, outputs in (([inside], None), ([given()], [wanted])):
        with pytest.raises(Exception, match="made smaller"):
            client.infer("one", inputs, outputs=outputs)
    assert (Path("/dev/shm") / memory.name).stat().st_size == 0
    client.unregister_system_shared_memory()
    os.truncate(Path("/dev/shm") / memory.name, 256)


def test_beyond_this_machine_there_is_no_shared_memory(folder, memory):
    with server(folder, address=Address("0.0.0.0", 0)) as far:
        made = {"key": memory.name, "byte_size": 256, "offset": 0}
        assert told(far, "POST", "/v2/systemsharedmemory/region/r/register", made)[0] == 501
        assert "system_shared_memory" not in told(far, "GET", "/v2")[1]["extensions"]
        entry = {"name": "x0", "datatype": "FP32", "shape": [2, 4],
                 "parameters": {"shared_memory_region": "r", "shared_memory_byte_size": 32}}  # fmt: skip
        status, found = told(far, "POST", "/v2/models/one/infer", {"inputs": [entry]})
        assert status == 400 and "this machine" in found["error"]
