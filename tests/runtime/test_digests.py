"""Which files answer: their digest in the index, the metadata, the configuration, the metrics and the log."""

import hashlib
import http.client
import io
import json
import logging
import threading

import numpy as np
import onnx
import pytest

from edgewright import bundles
from edgewright.bundles import BundleContent, Contract, Variant
from edgewright.core.digests import digest_json
from edgewright.core.session import EngineOptions
from edgewright.formats import save
from edgewright.runtime import logs
from edgewright.runtime.addresses import Address
from edgewright.runtime.config import Config, ServerTable
from edgewright.runtime.loading import sources
from edgewright.runtime.loading.opening import Settings
from edgewright.runtime.server import Server, serving
from edgewright.testing.build import Build
from edgewright.trust import SigningKey

parser = pytest.importorskip("prometheus_client.parser")
LONG = 120.0
X = {"name": "x", "datatype": "FP32", "shape": [1, 4], "data": [1.0, 1.0, 1.0, 1.0]}


def doubling(factor=2.0):
    build = Build()
    build.output(build.node("Mul", build.input("x", ["n", 4]), build.constant(np.float32(factor))), ["n", 4])
    return build.model()


def put(path, factor):
    """Put a model there, whole or not at all; its digest."""
    save(doubling(factor), path.parent.parent / "made")
    path.parent.mkdir(exist_ok=True)
    (path.parent.parent / "made" / "model.onnx").replace(path)
    return sha256(path)


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


class Place:
    """A server, and the ways to ask it."""

    def __init__(self, path, beside=(), **more):
        self.server = Server(Settings(path, watch_s=0, **more), [Address(port=0)], beside=beside)
        self.thread = serving(self.server)

    def ask(self, method, target, told=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.server.addresses[0].port, timeout=LONG)
        connection.request(method, target, None if told is None else json.dumps(told))
        raw = connection.getresponse().read()
        connection.close()
        return raw.decode()

    def index(self):
        return {one["name"]: one for one in json.loads(self.ask("POST", "/v2/repository/index"))}

    def told(self, name="m"):
        """The digest as everybody tells it."""
        metadata = json.loads(self.ask("GET", f"/v2/models/{name}"))["parameters"]
        config = json.loads(self.ask("GET", f"/v2/models/{name}/config"))["parameters"]["digest"]["string_value"]
        families = {one.name: one for one in parser.text_string_to_metric_families(self.ask("GET", "/metrics"))}
        (info,) = [s for s in families["edgewright_model_info"].samples if s.labels["model"] == name]
        assert info.value == 1 and info.labels.keys() == {"model", "version", "engine", "provider", "digest"}
        assert metadata["version"] == info.labels["version"] and metadata["provider"] == info.labels["provider"]
        (found,) = {metadata["digest"], config, info.labels["digest"], self.index()[name]["parameters"]["digest"]}
        return found

    def infer(self, name="m"):
        found = json.loads(self.ask("POST", f"/v2/models/{name}/infer", {"inputs": [X]}))
        return found["outputs"][0]["data"][0]

    def load(self, name="m"):
        assert self.ask("POST", f"/v2/repository/models/{name}/load") == ""


@pytest.fixture
def start():
    running = []

    def begin(path, *args, **more):
        running.append(Place(path, *args, **more))
        return running[-1]

    yield begin
    for place in running:
        place.server.stop()
        place.thread.join(LONG)
        assert not place.thread.is_alive()


@pytest.fixture
def events():
    """What was logged of an event, as a machine reads it."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logs.Json())
    logs.LOG.addHandler(handler)
    logs.LOG.setLevel(logging.INFO)
    yield lambda event: [one for one in map(json.loads, stream.getvalue().splitlines()) if one["event"] == event]
    logs.LOG.removeHandler(handler)
    logs.LOG.setLevel(logging.NOTSET)


def test_a_file_is_told_by_its_digest_before_and_after_a_reload(start, tmp_path, events, monkeypatch):
    first = put(tmp_path / "models" / "m.onnx", 2)
    (tmp_path / "models" / "broken.onnx").write_bytes(b"no model")
    place = start(tmp_path / "models")
    assert place.told() == first and place.infer() == 2
    assert "parameters" not in place.index()["broken"], "nothing answers"
    monkeypatch.setattr(sources, "_digest", None)  # the swap does not wait for it: the child that prepares reads it
    second = put(tmp_path / "models" / "m.onnx", 3)
    place.load()
    assert place.told() == second and place.infer() == 3
    (told,) = events("reload")
    assert (told["digest"], told["before_digest"], told["version"]) == (second, first, "1")
    assert first[:12] in told["message"] and second[:12] in told["message"]


def test_what_is_taken_back_is_told_by_its_digest(start, tmp_path, events):
    first, place = put(tmp_path / "models" / "m.onnx", 2), start(tmp_path / "models")
    second = put(tmp_path / "models" / "m.onnx", 3)
    place.load()
    place.server.repository.find("m").session.close()  # from now on every run of it fails
    assert [place.infer() for _ in range(10)] == [2] * 10, "the one before answers for it"
    for _ in range(2):  # the loader looks at trials between two orders: before the second is done it has
        over = threading.Event()
        place.server.loader.unload("nothing", lambda error, over=over: over.set())
        assert over.wait(LONG)
    assert place.told() == first
    told = events("reload")[-1]
    assert (told["level"], told["digest"], told["before_digest"]) == ("error", first, second)
    assert "was taken back" in told["message"] and told["message"] == place.index()["m"]["reason"]


def test_a_model_that_comes_later_is_told_by_its_digest(start, tmp_path, events):
    put(tmp_path / "models" / "m.onnx", 2)
    place = start(tmp_path / "models")
    later = put(tmp_path / "models" / "later.onnx", 5)
    place.load("later")
    (told,) = events("model")
    assert told["digest"] == later == place.told("later") and f"(sha256 {later[:12]}) is ready" in told["message"]


def test_a_bundle_is_told_by_its_manifest(start, tmp_path):
    plain, key = Variant("onnxruntime", EngineOptions(), doubling()), SigningKey.generate()
    golden = bundles.record_golden([plain], [{"x": np.ones((1, 4), np.float32)}], count=1)
    content = BundleContent(
        name="m", version="7", source=plain.model.digest, variants=(plain,), golden=golden, contract=Contract("host")
    )
    bundles.seal(content, tmp_path / "models" / "m", key)
    place = start(tmp_path / "models", trusted=[key.public])
    assert place.told() == sha256(tmp_path / "models" / "m" / "manifest.json")


def test_weights_beside_the_file_belong_to_its_digest_and_no_answer_of_others_is_kept(start, tmp_path):
    save(doubling(), tmp_path / "made")
    made = onnx.load(tmp_path / "made" / "model.onnx")
    (tmp_path / "models").mkdir()
    main, data = tmp_path / "models" / "m.onnx", tmp_path / "models" / "m.data"
    onnx.save_model(made, main, save_as_external_data=True, location=data.name, size_threshold=0)
    place = start(tmp_path / "models", config=Config(ServerTable(cache_mb=1)))
    before = place.told()
    assert before == digest_json({main.name: sha256(main), data.name: sha256(data)}) and place.infer() == 2
    data.write_bytes(np.float32(9).tobytes())
    place.load()
    assert place.infer() == 9 and place.told() != before, "while the one before waits for the trial's end"


def test_grpc_tells_it_in_the_configuration(start, tmp_path):
    client = pytest.importorskip("tritonclient.grpc")
    lane = pytest.importorskip("edgewright.runtime.lanes.rpc.lane").GrpcLane
    digest = put(tmp_path / "models" / "m.onnx", 2)
    place = start(tmp_path / "models", [lambda service, budget: lane(service, Address(port=0, scheme="grpc"), budget)])
    with client.InferenceServerClient(place.server.lanes[1].addresses[0].place) as asking:
        assert asking.get_model_config("m").config.parameters["digest"].string_value == digest
        assert asking.get_model_config("m", as_json=True)["config"]["parameters"]["threads"] == {"string_value": "1"}


def test_tritons_http_client_reads_past_it(start, tmp_path):
    client = pytest.importorskip("tritonclient.http")
    digest = put(tmp_path / "models" / "m.onnx", 2)
    place = start(tmp_path / "models")
    with client.InferenceServerClient(f"127.0.0.1:{place.server.addresses[0].port}") as asking:
        (entry,) = asking.get_model_repository_index()
        assert (entry["state"], entry["parameters"]) == ("READY", {"digest": digest})
        assert asking.get_model_metadata("m")["inputs"][0]["name"] == "x"
