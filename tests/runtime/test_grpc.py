"""gRPC over real sockets: Triton's own client, and by hand, byte by byte."""

import queue
import re
import signal
import subprocess
import sys
import threading
from dataclasses import replace

import numpy as np
import pytest
from onnx import TensorProto, helper
from onnx import save as save_onnx

from edgewright.core.errors import InputError, MissingExtra
from edgewright.formats import save
from edgewright.runtime.addresses import Address
from edgewright.runtime.config import ServerTable
from edgewright.runtime.desk import Desk
from edgewright.runtime.faults import BadRequest, Gone
from edgewright.runtime.lanes.limits import Budget, Limits
from edgewright.runtime.lanes.rpc import grpc_lane
from edgewright.runtime.lanes.tls import Certificate
from edgewright.runtime.loading.loader import Loader
from edgewright.runtime.loading.opening import Settings
from edgewright.runtime.oip.regions import Regions
from edgewright.runtime.oip.settings import LOG, TRACE
from edgewright.runtime.repository import Repository
from edgewright.runtime.safety import Safety
from edgewright.runtime.scheduling.scheduler import Job, Scheduler
from edgewright.runtime.served import Served
from edgewright.runtime.server import Server, serving
from edgewright.runtime.service import Service
from edgewright.runtime.tokens import Tokens, new_token
from edgewright.testing.build import Build
from edgewright.testing.certificates import make_certificate

grpc = pytest.importorskip("grpc")
tritonclient = pytest.importorskip("tritonclient.grpc")
lanes = pytest.importorskip("edgewright.runtime.lanes.rpc.lane")
schema = pytest.importorskip("edgewright.runtime.lanes.rpc.schema")
guard = pytest.importorskip("edgewright.runtime.lanes.rpc.guard")
read = pytest.importorskip("edgewright.runtime.lanes.rpc.tensors").read
CALLS, MESSAGES, OPEN, TAKES = schema.CALLS, schema.MESSAGES, guard.OPEN, guard.TAKES
GrpcLane, InferenceServerException = lanes.GrpcLane, tritonclient.InferenceServerException

LONG = 60.0
X = np.arange(8, dtype=np.float32).reshape(2, 4)
ANYWHERE = Address(port=0, scheme="grpc")
SERVICE = "/inference.GRPCInferenceService/"


def doubling(factor=2.0):
    build = Build()
    build.output(build.node("Mul", build.input("x", ["n", 4]), build.constant(np.float32(factor))), ["n", 4])
    return build.model()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two models and one that cannot be loaded."""
    place = tmp_path_factory.mktemp("grpc")
    (place / "models").mkdir()
    for name, factor in (("double", 2.0), ("triple", 3.0)):
        save(doubling(factor), place / "made" / name)
        (place / "made" / name / "model.onnx").rename(place / "models" / f"{name}.onnx")
    (place / "models" / "broken.onnx").write_bytes(b"no model")
    return place / "models"


class Watched(Desk):
    """A desk at which one can wait until requests have come, and until they are gone."""

    def __init__(self, scheduler):
        super().__init__(scheduler)
        self.came, self.gone = threading.Semaphore(0), queue.Queue()
        self.asked, self.most = [], 0

    def later(self, served, inputs, done, timeout_s=None, priority=2):
        def ended(outputs, fault):
            done(outputs, fault)
            self.gone.put(fault)

        self.asked.append((timeout_s, priority))
        job = super().later(served, inputs, ended, timeout_s, priority)
        self.most = max(self.most, self.scheduler.waiting)
        self.came.release()
        return job

    def arrived(self, count=1):
        for _ in range(count):
            assert self.came.acquire(timeout=LONG)


class Place:
    """A lane with all that stands behind it. Inside ``held`` the only executor is taken: everybody waits in line."""

    def __init__(self, folder, most=1024, limits=None, strict=False, safety=None, regions=None, **more):
        self.repository, self.scheduler = Repository(), Scheduler(most=most)
        self.loader = Loader(self.repository, Desk(self.scheduler), Settings(folder))
        self.loader.start()
        self.desk = Watched(self.scheduler)
        table = ServerTable(strict_readiness=strict)
        self.service = Service(self.repository, self.desk, self.loader, regions=regions, table=table)
        self.budget, self.safety = Budget(limits or Limits()), safety
        where = Address(port=0, tls=safety is not None and safety.certificate is not None, scheme="grpc")
        self.lane = GrpcLane(self.service, where, self.budget, safety, **more)
        self.lane.start()
        self.address = self.lane.addresses[0].place
        self.channel = grpc.insecure_channel(self.address)
        self.client = tritonclient.InferenceServerClient(self.address)

    def call(self, name="ModelInfer"):
        return self.channel.unary_unary(SERVICE + name)

    def stream(self):
        return self.channel.stream_stream(
            SERVICE + "ModelStreamInfer", response_deserializer=MESSAGES["ModelStreamInferResponse"].FromString
        )

    def hold(self):
        self.busy = self.repository.find("triple")
        assert self.scheduler.enter(self.busy)

    def free(self):
        self.scheduler.leave(self.busy)

    def close(self):
        self.client.close()
        self.channel.close()
        self.lane.close()
        assert not self.lane.busy
        self.scheduler.close()
        self.loader.close()


@pytest.fixture
def place(folder):
    """Makes places, and closes them."""
    made = []

    def make(**more):
        made.append(Place(folder, **more))
        return made[-1]

    yield make
    for one in made:
        one.close()


def tensor(x=X):
    given = tritonclient.InferInput("x", list(x.shape), "FP32")
    given.set_data_from_numpy(x)
    return [given]


def request(model="double", x=X, raw=True, **more):
    """A request, serialised."""
    made = MESSAGES["ModelInferRequest"](model_name=model, **more)
    one = made.inputs.add(name="x", datatype="FP32", shape=x.shape)
    if raw:
        made.raw_input_contents.append(x.tobytes())
    else:
        one.contents.fp32_contents.extend(x.ravel())
    return made.SerializeToString()


def answer(raw):
    reply = MESSAGES["ModelInferResponse"].FromString(raw)
    (out,) = reply.outputs
    return np.frombuffer(reply.raw_output_contents[0], np.float32).reshape(tuple(out.shape))


def kind(error):
    return dict(error.trailing_metadata()).get("edgewright-fault")


def test_tritons_own_client_finds_everything(place):
    client = place().client
    assert client.is_server_live() and client.is_server_ready() and client.is_model_ready("double", "1")
    assert not client.is_model_ready("broken") and not client.is_model_ready("nonesuch")
    assert client.get_server_metadata().name == "edgewright"
    told = client.get_model_metadata("double")
    assert [(t.name, t.datatype, list(t.shape)) for t in told.inputs] == [("x", "FP32", [-1, 4])]
    assert list(told.versions) == ["1"] and told.platform == "onnxruntime_onnx"
    config = client.get_model_config("double").config
    assert config.max_batch_size == 0 and list(config.input[0].dims) == [-1, 4] and config.backend == "onnxruntime"
    index = {entry.name: entry for entry in client.get_model_repository_index().models}
    assert index["double"].state == "READY" and "broken.onnx" in index["broken"].reason
    output = told.outputs[0].name
    found = client.infer("double", tensor(), outputs=[tritonclient.InferRequestedOutput(output)], request_id="7")
    np.testing.assert_array_equal(found.as_numpy(output), 2 * X)
    assert found.get_response().id == "7" and found.get_response().model_version == "1"
    packed = client.infer("triple", tensor(), compression_algorithm="gzip", priority=1, timeout=60_000_000)
    np.testing.assert_array_equal(packed.as_numpy(packed.get_response().outputs[0].name), 3 * X)
    answers = queue.Queue()
    client.async_infer("double", tensor(), lambda result, error: answers.put((result, error)))
    result, error = answers.get(timeout=LONG)
    assert error is None and result.as_numpy(output).tolist() == (2 * X).tolist()
    (stats,) = client.get_inference_statistics("double").model_stats
    assert stats.execution_count == 2 and stats.inference_stats.success.count == 2
    assert stats.last_inference > 0 and stats.inference_stats.cache_miss.count == 0
    assert stats.batch_stats[0].compute_infer.ns > 0
    assert len(client.get_inference_statistics().model_stats) == 2
    told = client.get_trace_settings().settings
    assert {key: list(one.value) for key, one in told.items()} == {
        key: value if isinstance(value, list) else [value] for key, value in TRACE.items()
    }
    assert client.update_trace_settings(settings={"trace_level": ["OFF"], "trace_rate": None}).settings == told
    told = client.get_log_settings().settings
    assert {key: getattr(one, one.WhichOneof("parameter_choice")) for key, one in told.items()} == LOG
    assert client.update_log_settings({"log_info": True, "log_file": ""}).settings == told


def test_nothing_is_registered_where_memory_is_not_shared(place):
    client = place().client
    assert not client.get_system_shared_memory_status().regions and not client.get_cuda_shared_memory_status().regions
    client.unregister_system_shared_memory("r")
    client.unregister_cuda_shared_memory()
    assert "system_shared_memory" not in client.get_server_metadata().extensions
    with pytest.raises(InferenceServerException, match="clients on this machine"):
        client.infer("double", [shared_tensor()])


def shared_tensor(size=X.nbytes, offset=0, region="r"):
    given = tritonclient.InferInput("x", list(X.shape), "FP32")
    given.set_shared_memory(region, size, offset)
    return given


@pytest.fixture
def shared(place, tmp_path):
    """A client, and a file in the place of an object in /dev/shm: X, and room for as much."""
    memory = tmp_path / "object"
    memory.write_bytes(X.tobytes() + bytes(X.nbytes))
    client = place(regions=Regions(tmp_path)).client
    client.register_system_shared_memory("r", "/object", 2 * X.nbytes)
    return client, memory


@pytest.mark.parametrize("streamed", [False, True])
def test_tensors_may_lie_in_shared_memory(shared, streamed):
    client, memory = shared
    assert "system_shared_memory" in client.get_server_metadata().extensions
    (one,) = client.get_system_shared_memory_status("r").regions.values()
    assert (one.name, one.key, one.offset, one.byte_size) == ("r", "/object", 0, 2 * X.nbytes)
    output = client.get_model_metadata("double").outputs[0].name
    wanted = tritonclient.InferRequestedOutput(output)
    wanted.set_shared_memory("r", X.nbytes, offset=X.nbytes)
    if streamed:
        answers = queue.Queue()
        client.start_stream(lambda result, error: answers.put((result, error)))
        client.async_stream_infer("double", [shared_tensor()], outputs=[wanted])
        client.stop_stream()
        found, error = answers.get(timeout=LONG)
        assert error is None
    else:
        found = client.infer("double", [shared_tensor()], outputs=[wanted])
    reply = found.get_response()
    assert list(reply.outputs[0].shape) == [2, 4] and list(reply.raw_output_contents) == [b""]
    assert reply.outputs[0].parameters["shared_memory_offset"].int64_param == X.nbytes
    assert memory.read_bytes() == X.tobytes() + (2 * X).tobytes()
    (sent,) = client.infer("double", [shared_tensor()]).get_response().raw_output_contents
    assert sent == (2 * X).tobytes(), "in there, and sent back"
    client.unregister_system_shared_memory("r")
    assert not client.get_system_shared_memory_status().regions


def test_what_does_not_fit_in_shared_memory_is_refused(shared):
    client, memory = shared
    output = client.get_model_metadata("double").outputs[0].name

    def refused(says, given, **place):
        wanted = tritonclient.InferRequestedOutput(output)
        if place:
            wanted.set_shared_memory(**place)
        with pytest.raises(InferenceServerException, match=says):
            client.infer("double", given, outputs=[wanted])

    refused("takes 32 bytes, 16 were sent", [shared_tensor(16)])
    refused("has 64 bytes", [shared_tensor(offset=48)])
    refused("no shared memory region", [shared_tensor(region="q")])
    refused("keeps 8 for it", tensor(), region_name="r", byte_size=8)
    refused("has 64 bytes", tensor(), region_name="r", byte_size=32, offset=48)
    refused("no shared memory region", tensor(), region_name="q", byte_size=32)
    with pytest.raises(InferenceServerException, match="registered already"):
        client.register_system_shared_memory("r", "/object", 8)
    with pytest.raises(InferenceServerException, match="'key' is no name"):
        client.register_system_shared_memory("q", "../object", 8)
    assert memory.read_bytes() == X.tobytes() + bytes(X.nbytes)


def test_a_raw_tensor_is_announced_to_lie_where_it_does(shared):
    made = MESSAGES["ModelInferRequest"](model_name="double", raw_input_contents=[X.tobytes()])
    one = made.inputs.add(name="x", datatype="FP32", shape=X.shape)
    one.parameters["shared_memory_region"].string_param = "r"
    one.parameters["shared_memory_byte_size"].int64_param = X.nbytes
    with pytest.raises(BadRequest, match="holds 1 tensors, 0 inputs"):
        read(made.SerializeToString(), Regions())
    made.ClearField("raw_input_contents")
    one.contents.fp32_contents.extend([1.0])
    with pytest.raises(BadRequest, match="lies elsewhere, too"):
        read(made.SerializeToString(), Regions())


def test_an_output_that_is_asked_for_twice_is_answered_once(place):
    client = place().client
    output = client.get_model_metadata("double").outputs[0].name
    found = client.infer("double", tensor(), outputs=[tritonclient.InferRequestedOutput(output)] * 2).get_response()
    assert len(found.outputs) == len(found.raw_output_contents) == 1


@pytest.mark.parametrize(("strict", "state"), [(False, b"\x08\x01"), (True, b"\x08\x02")])
def test_the_common_health_check_is_answered(place, tmp_path, strict, state):
    new_token(tmp_path / "tokens")
    safety = Safety(tokens=Tokens(tmp_path / "tokens"))
    made = place(strict=strict, safety=safety)  # one model is broken; no token is needed
    check = made.channel.unary_unary("/grpc.health.v1.Health/Check")
    service = SERVICE.strip("/").encode()
    assert check(b"") == check(b"\x0a" + bytes([len(service)]) + service) == state
    with pytest.raises(grpc.RpcError) as caught:
        check(b"\x0a\x01q")
    assert caught.value.code().name == "NOT_FOUND" and "there is: inference" in caught.value.details()


def test_elements_may_come_typed_and_go_back_raw(place):
    np.testing.assert_array_equal(answer(place().call()(request(raw=False))), 2 * X)


@pytest.mark.parametrize(
    ("ask", "status", "says"),
    [
        (lambda c: c.get_model_metadata("nonesuch"), "NOT_FOUND", "there are: double, triple"),
        (lambda c: c.get_model_metadata("double", "9"), "NOT_FOUND", "no version '9'"),
        (lambda c: c.infer("nonesuch", tensor()), "NOT_FOUND", "no model is named"),
        (lambda c: c.infer("broken", tensor()), "UNAVAILABLE", "is not ready"),
        (lambda c: c.infer("double", tensor(X[:, :3])), "INVALID_ARGUMENT", "must have shape"),
        (lambda c: c.infer("double", tensor(), outputs=[tritonclient.InferRequestedOutput("q")]), "INVALID_ARGUMENT",
         "no output 'q'"),
        (lambda c: c.infer("double", tensor(), timeout=1), "DEADLINE_EXCEEDED", "infeasible: "),
        (lambda c: c.update_trace_settings(settings={"trace_level": ["TIMESTAMPS"]}), "UNIMPLEMENTED", "it is ['OFF']"),
        (lambda c: c.update_trace_settings(settings={"trace_rate": ["1", "2"]}), "UNIMPLEMENTED", "cannot be set"),
        (lambda c: c.update_trace_settings(settings={"nonesuch": "1"}), "UNIMPLEMENTED", "there are: trace_file"),
        (lambda c: c.get_trace_settings("nonesuch"), "NOT_FOUND", "no model is named"),
        (lambda c: c.update_log_settings({"log_verbose_level": 1}), "UNIMPLEMENTED", "cannot be set"),
        (lambda c: c.register_system_shared_memory("r", "/r", 8), "UNIMPLEMENTED", "clients on this machine"),
        (lambda c: c.get_system_shared_memory_status("r"), "NOT_FOUND", "is named 'r'"),
        (lambda c: c.register_cuda_shared_memory("r", b"QUFB", 0, 8), "UNIMPLEMENTED", "send the tensors"),
        (lambda c: c.get_cuda_shared_memory_status("r"), "NOT_FOUND", "is named 'r'"),
    ],
)  # fmt: skip
def test_what_goes_wrong_has_its_status_and_a_sentence(place, ask, status, says):
    with pytest.raises(InferenceServerException) as caught:
        ask(place().client)
    assert caught.value.status() == f"StatusCode.{status}" and says in caught.value.message()


@pytest.mark.parametrize(
    ("call", "raw", "status", "says"),
    [
        ("ModelInfer", request()[:-3], "INVALID_ARGUMENT", "cut short"),
        ("ModelInfer", b"\xff" * 100, "INVALID_ARGUMENT", "cut short, or of another kind"),
        ("ModelMetadata", b"\x0a\xff", "INVALID_ARGUMENT", "ModelMetadataRequest"),
        ("ModelMetadata", b"\x0a\x02\xff\xfe", "INVALID_ARGUMENT", "ModelMetadataRequest"),
        ("ModelInfer", b"", "NOT_FOUND", "name the model"),
        ("ModelInfer", request(model="m" * 100_000), "NOT_FOUND", "no model is named"),
        ("ModelInfer", bytes(2**20 + 1), "RESOURCE_EXHAUSTED", "larger than max"),
        ("Nonesuch", b"", "UNIMPLEMENTED", "Method not found"),
    ],
    ids=range(8),
)
def test_whatever_bytes_come_the_call_is_answered(place, call, raw, status, says):
    made = place(limits=Limits(body_bytes=2**20))
    with pytest.raises(grpc.RpcError) as caught:
        made.call(call)(raw, timeout=LONG)
    assert caught.value.code().name == status and says in caught.value.details()
    np.testing.assert_array_equal(answer(made.call()(request())), 2 * X)


def test_deadline_faults_are_told_apart(place):
    made = place(most=1)
    made.hold()
    waiting = made.call().future(request(), timeout=LONG)
    made.desk.arrived()
    for raw, wanted in (
        (request(), ("UNAVAILABLE", "overloaded")),
        (request(parameters={"timeout": {"int64_param": 1}}), ("DEADLINE_EXCEEDED", "infeasible")),
    ):
        with pytest.raises(grpc.RpcError) as caught:
            made.call()(raw, timeout=LONG)
        assert (caught.value.code().name, kind(caught.value)) == wanted
        assert caught.value.details().startswith(f"{wanted[1]}: ")
    made.free()
    np.testing.assert_array_equal(answer(waiting.result()), 2 * X)


def test_who_waits_past_the_deadline_is_told_so(place):
    made = place()
    made.hold()
    with pytest.raises(grpc.RpcError) as caught:
        made.call()(request(parameters={"timeout": {"int64_param": 50_000}}), timeout=LONG)
    made.free()
    assert (caught.value.code().name, kind(caught.value)) == ("DEADLINE_EXCEEDED", "expired")


@pytest.mark.parametrize(
    ("call_s", "micros", "most"), [(50.0, 0, 50.0), (50.0, 40_000_000, 40.0), (30.0, 50_000_000, 30.0)]
)
def test_the_nearer_of_both_deadlines_counts_and_the_priority_goes_along(place, call_s, micros, most):
    made = place()
    made.hold()
    told = {"timeout": {"int64_param": micros}, "priority": {"uint64_param": 1}}
    future = made.call().future(request(parameters=told), timeout=call_s)
    made.desk.arrived()
    made.free()
    future.result()
    ((left, priority),) = made.desk.asked  # on the wire a call's deadline is rounded up
    assert most - 9.0 < left < most + 1.0 and priority == 1


def test_a_call_without_a_deadline_has_none(place):
    made = place()
    made.hold()
    future = made.call().future(request())
    made.desk.arrived()
    made.free()
    future.result()
    assert made.desk.asked == [(None, 0)]


def test_a_call_that_is_cancelled_gives_its_place_up(place):
    made = place()
    made.hold()
    future = made.call().future(request(), timeout=LONG)
    made.desk.arrived()
    future.cancel()
    assert made.desk.gone.get(timeout=LONG).kind == "cancelled" and made.scheduler.waiting == 0
    made.free()
    np.testing.assert_array_equal(answer(made.call()(request())), 2 * X)


def test_a_model_replaced_between_finding_and_asking_is_found_again(place):
    made = place()
    old, other = made.repository.find("double"), made.repository.find("triple")
    successor = Served(replace(other.source, name="double"), other.session)
    given = made.desk.at_once

    def replaced(served, inputs, timeout_s=None):
        if served is old:
            made.repository.put(successor)
            assert made.scheduler.retire(old, LONG)
        return given(served, inputs, timeout_s)

    made.desk.at_once = replaced
    np.testing.assert_array_equal(answer(made.call()(request())), 3 * X)


def test_models_are_loaded_and_unloaded(folder, tmp_path):
    for name in ("double", "broken"):
        (tmp_path / f"{name}.onnx").write_bytes((folder / f"{name}.onnx").read_bytes())
    made = Place(tmp_path)
    try:
        client = made.client
        client.unload_model("double", unload_dependents=True)
        assert not client.is_model_ready("double")
        client.load_model("double")
        assert client.is_model_ready("double")
        for name, more, status in (
            ("nonesuch", {}, "NOT_FOUND"),
            ("broken", {}, "INVALID_ARGUMENT"),
            ("double", {"config": "{}"}, "UNIMPLEMENTED"),
        ):
            with pytest.raises(InferenceServerException) as caught:
                client.load_model(name, **more)
            assert caught.value.status() == f"StatusCode.{status}"
        assert "model_repository" in client.get_server_metadata().extensions
    finally:
        made.close()


@pytest.mark.parametrize("rows", [1, 2**17 + 3])
@pytest.mark.parametrize("streamed", [False, True])
def test_small_and_large_tensors_are_the_same_both_ways(place, rows, streamed):
    x = np.random.default_rng(0).normal(size=(rows, 4)).astype(np.float32)
    made = place()
    if streamed:
        replies = list(made.stream()(iter([request(x=x), request(x=x, id="2")]), timeout=LONG))
        assert [r.infer_response.id for r in replies] == ["", "2"] and not any(r.error_message for r in replies)
        found = [answer(r.infer_response.SerializeToString()) for r in replies]
        assert all(r.infer_response.parameters["triton_final_response"].bool_param for r in replies)
    else:
        found = [answer(made.call()(request(x=x)))]
    for one in found:
        np.testing.assert_array_equal(one, 2 * x)


def test_a_stream_answers_in_order_whatever_goes_wrong_within(place):
    client = place().client
    answers = queue.Queue()
    client.start_stream(lambda result, error: answers.put((result, error)))
    for number in range(100):
        client.async_stream_infer("nonesuch" if number % 5 == 0 else "double", tensor(), request_id=str(number))
    client.stop_stream()
    found = [answers.get(timeout=LONG) for _ in range(100)]
    assert [r.get_response().id for r, e in found if e is None] == [str(n) for n in range(100) if n % 5]
    assert all("no model is named" in e.message() for r, e in found[::5]) and answers.empty()
    assert found[1][0].get_response().parameters["triton_final_response"].bool_param


def test_a_stream_survives_bytes_that_are_no_request_and_names_what_failed(place):
    replies = list(place().stream()(iter([b"\xff", request(model="nonesuch", id="b"), request(id="c")]), timeout=LONG))
    assert [bool(r.error_message) for r in replies] == [True, True, False]
    assert [r.infer_response.id for r in replies] == ["", "b", "c"]
    kinds = [r.infer_response.parameters["edgewright-fault"].string_param for r in replies[:2]]
    assert kinds == ["bad_request", "not_found"]
    assert answer(replies[2].infer_response.SerializeToString()).tolist() == (2 * X).tolist()


def test_a_stream_asks_the_successor_of_a_version_that_is_gone(place, monkeypatch):
    made = place()
    monkeypatch.setattr("edgewright.runtime.lanes.rpc.streams._SHORT_S", 0.0)
    later, gone = made.desk.later, [Gone("it was replaced just now")]

    def once(served, inputs, done, timeout_s=None, priority=2):
        if gone:
            done(None, gone.pop())  # as one that waited for another's answer is told
            return Job(served, inputs, done)
        return later(served, inputs, done, timeout_s, priority)

    monkeypatch.setattr(made.desk, "later", once)
    (reply,) = made.stream()(iter([request(id="a")]), timeout=LONG)
    assert not reply.error_message and reply.infer_response.id == "a" and not gone


def test_a_stream_has_only_so_many_requests_in_flight(place):
    made = place()
    made.hold()
    replies = made.stream()(iter([request()] * 100), timeout=LONG)
    made.desk.arrived(32)
    assert made.scheduler.waiting == 32
    made.free()
    assert len(list(replies)) == 100 and made.desk.most == 32


def test_a_stream_that_is_cancelled_gives_all_its_places_up(place):
    made = place()
    made.hold()
    replies = made.stream()(iter([request()] * 3), timeout=LONG)
    made.desk.arrived(3)
    replies.cancel()
    assert {made.desk.gone.get(timeout=LONG).kind for _ in range(3)} == {"cancelled"} and made.scheduler.waiting == 0
    made.free()


def test_streams_are_numbered_and_leave_room_for_calls(place):
    made = place(calls=4, streams=1)
    more = queue.SimpleQueue()
    first = made.stream()(iter(more.get, None), timeout=LONG)
    more.put(request())
    assert not next(first).error_message
    with pytest.raises(grpc.RpcError) as caught:
        list(made.stream()(iter([request()]), timeout=LONG))
    assert caught.value.code().name == "RESOURCE_EXHAUSTED" and "1 streams are open" in caught.value.details()
    np.testing.assert_array_equal(answer(made.call()(request())), 2 * X)
    more.put(None)
    assert list(first) == []


def test_a_stream_that_is_silent_for_long_makes_room_for_another(place):
    made = place(calls=4, streams=1)
    more = queue.SimpleQueue()
    first = made.stream()(iter(more.get, None), timeout=LONG)
    more.put(request())
    assert not next(first).error_message
    (stream,) = made.lane._streams
    stream._since -= 1e6
    (reply,) = made.stream()(iter([request()]), timeout=LONG)
    assert not reply.error_message
    with pytest.raises(grpc.RpcError) as caught:
        next(first)
    assert caught.value.code().name == "RESOURCE_EXHAUSTED" and "asked nothing for long" in caught.value.details()
    more.put(None)


def test_a_stream_that_waits_for_its_answer_is_not_silent(place):
    made = place(calls=4, streams=1)
    made.hold()
    first = made.stream()(iter([request()]), timeout=LONG)
    made.desk.arrived()
    (stream,) = made.lane._streams
    stream._since -= 1e6
    with pytest.raises(grpc.RpcError) as caught:
        list(made.stream()(iter([request()]), timeout=LONG))
    assert caught.value.code().name == "RESOURCE_EXHAUSTED" and "streams are open" in caught.value.details()
    made.free()
    assert len(list(first)) == 1


def test_no_more_calls_at_a_time_than_there_is_room_for(place):
    made = place(calls=1)
    made.hold()
    first = made.call().future(request(), timeout=LONG)
    made.desk.arrived()
    own = [("grpc.use_local_subchannel_pool", 1)]  # on the same connection it would wait at the client's end
    with grpc.insecure_channel(made.address, own) as other, pytest.raises(grpc.RpcError) as caught:
        other.unary_unary(SERVICE + "ModelInfer")(request(), timeout=LONG)
    assert caught.value.code().name == "RESOURCE_EXHAUSTED"
    made.free()
    first.result()


def swept(lane, over):
    """Whether it comes to be over within half a minute of sweeping."""
    pause = threading.Event()
    for _ in range(3000):
        if over():
            return True
        lane.sweep()
        pause.wait(0.01)
    return False


def test_a_client_that_opens_a_call_and_says_nothing_is_hung_up_on(place):
    made, silent = place(limits=Limits(request_s=0.0)), queue.SimpleQueue()
    call = made.channel.stream_stream(SERVICE + "ModelInfer")(iter(silent.get, None), timeout=LONG)
    assert swept(made.lane, lambda: not call.is_active())
    silent.put(None)
    assert call.code().name == "CANCELLED"


@pytest.mark.parametrize("streamed", [True, False])
def test_a_client_that_does_not_read_its_reply_is_hung_up_on(place, streamed):
    made = place(limits=Limits(reply_s=-LONG * 100))
    large = request(x=np.zeros((2**20, 4), np.float32))  # more than is sent ahead to who does not read
    made.hold()
    call = made.stream() if streamed else made.channel.stream_stream(SERVICE + "ModelInfer")
    replies = call(iter([large]), timeout=10 * LONG)
    made.desk.arrived()
    made.free()
    made.lane.drain(LONG)
    assert swept(made.lane, lambda: not made.lane.busy)
    replies.cancel()


def test_a_call_that_ends_without_a_request_is_answered(place):
    with pytest.raises(grpc.RpcError) as caught:
        place().channel.stream_unary(SERVICE + "ModelInfer")(iter(()), timeout=LONG)
    assert caught.value.code().name == "INVALID_ARGUMENT" and "without a request" in caught.value.details()


def test_stopping_answers_what_was_asked_and_takes_nothing_more(place):
    made = place()
    made.hold()
    waiting = made.call().future(request(), timeout=LONG)
    pending, more = made.stream(), queue.SimpleQueue()
    replies = pending(iter(more.get, None), timeout=LONG)
    more.put(request())
    made.desk.arrived(2)
    made.lane.drain(LONG)
    assert made.lane.busy
    with pytest.raises(grpc.RpcError) as caught, grpc.insecure_channel(made.address) as late:
        late.unary_unary(SERVICE + "ModelInfer")(request(), timeout=LONG)
    assert caught.value.code().name == "UNAVAILABLE"
    more.put(request())  # too late
    while any(thread.name == "edgewright-grpc-stream" for thread in threading.enumerate()):
        assert made.lane.busy  # until it was read
    made.free()
    np.testing.assert_array_equal(answer(waiting.result()), 2 * X)
    assert not next(replies).error_message
    with pytest.raises(grpc.RpcError) as caught:
        next(replies)
    assert caught.value.code().name == "UNAVAILABLE" and "shutting down" in caught.value.details()
    more.put(None)


def test_who_comes_late_is_told_why_as_long_as_others_are_answered(place):
    """grpcio would tell some of them CANCELLED, as if they had given up (grpc/grpc issue 41785)."""
    made = place()
    made.hold()
    waiting = made.call().future(request(), timeout=LONG)
    made.desk.arrived()
    made.lane.drain(LONG)
    for name in ("ModelInfer", "ServerReady"):  # over the connection that is there
        with pytest.raises(grpc.RpcError) as caught:
            made.call(name)(request() if name == "ModelInfer" else b"", timeout=LONG)
        assert caught.value.code().name == "UNAVAILABLE" and caught.value.details() == "the server is shutting down"
        assert kind(caught.value) == "not_ready"
    made.free()
    np.testing.assert_array_equal(answer(waiting.result()), 2 * X)


def test_who_never_tires_of_asking_does_not_hold_up_the_end(place):
    made, over, seen = place(), threading.Event(), set()

    def ask():
        while not over.is_set():
            try:
                made.call()(request(), timeout=LONG)
            except grpc.RpcError as error:
                seen.add(error.code().name)

    asker = threading.Thread(target=ask)
    asker.start()
    made.lane.drain(LONG)
    made.lane._ending._thread.join(LONG / 2)
    assert not made.lane.busy
    over.set()
    asker.join(LONG)
    assert "UNAVAILABLE" in seen


def always_looping(path):
    """A model whose runs never end."""
    turn = helper.make_graph(
        [helper.make_node("Identity", ["go"], ["on"]), helper.make_node("Add", ["v", "v"], ["w"])], "turn",
        [helper.make_tensor_value_info(*told) for told in
         (("i", TensorProto.INT64, []), ("go", TensorProto.BOOL, []), ("v", TensorProto.FLOAT, ["n"]))],
        [helper.make_tensor_value_info(*told) for told in
         (("on", TensorProto.BOOL, []), ("w", TensorProto.FLOAT, ["n"]))],
    )  # fmt: skip
    graph = helper.make_graph(
        [helper.make_node("Loop", ["", "true", "x"], ["y"], body=turn)], "looping",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n"])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n"])],
        [helper.make_tensor("true", TensorProto.BOOL, [], [True])],
    )  # fmt: skip
    save_onnx(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)


def test_a_model_that_is_being_loaded_does_not_hold_up_the_end(folder, tmp_path, monkeypatch):
    monkeypatch.setattr("edgewright.runtime.server.DRAIN_S", 0.1)
    (tmp_path / "double.onnx").write_bytes((folder / "double.onnx").read_bytes())
    beside = [lambda service, budget: GrpcLane(service, ANYWHERE, budget)]
    server = Server(Settings(tmp_path, watch_s=0.0), [Address(port=0)], beside=beside)
    thread, lane = serving(server), server.lanes[1]
    always_looping(tmp_path / "loop.onnx")
    with tritonclient.InferenceServerClient(lane.addresses[0].place) as client:

        def ask():
            with pytest.raises(InferenceServerException):
                client.load_model("loop")

        asker = threading.Thread(target=ask)
        asker.start()
        while not lane._calls:  # it has come
            assert asker.is_alive()
        server.stop()
        thread.join(LONG / 2)  # its first runs alone are given a minute
        assert not thread.is_alive()
        asker.join(LONG)


LARGE = np.zeros((1 << 17, 4), np.float32)  # 2 MiB come, 2 MiB go


def test_requests_that_do_not_fit_are_refused_and_what_was_held_is_given_back(place):
    made = place(limits=Limits(buffered_bytes=3 << 20))
    made.hold()
    first, streamed = made.call().future(request(x=LARGE), timeout=LONG), queue.SimpleQueue()
    made.desk.arrived()
    assert made.budget.held_bytes > LARGE.nbytes
    with pytest.raises(grpc.RpcError) as caught:
        made.call()(request(x=LARGE), timeout=LONG)
    assert caught.value.code().name == "RESOURCE_EXHAUSTED" and "hold as much as they may" in caught.value.details()
    replies = made.stream()(iter(streamed.get, None), timeout=LONG)
    streamed.put(request(x=LARGE))
    assert "hold as much as they may" in next(replies).error_message
    assert LARGE.nbytes < made.budget.held_bytes < 2 * LARGE.nbytes, "of the first, still"
    made.free()
    np.testing.assert_array_equal(answer(first.result()), LARGE)
    streamed.put(request(x=LARGE))
    assert not next(replies).error_message, "there is room again"
    streamed.put(None)
    assert not list(replies) and given_back(made)


@pytest.mark.parametrize("streamed", [True, False])
def test_a_reply_that_does_not_fit_is_refused_before_its_first_byte(place, streamed):
    made = place(limits=Limits(buffered_bytes=3 << 20))
    made.hold()
    call = made.stream() if streamed else made.channel.stream_stream(SERVICE + "ModelInfer")
    replies = call(iter([request(x=LARGE)]), timeout=LONG)
    made.desk.arrived()
    made.budget.change(2 << 20)  # another lane's
    made.free()
    if streamed:
        assert "more than can be buffered now" in next(replies).error_message
    else:
        with pytest.raises(grpc.RpcError) as caught:
            next(replies)
        assert caught.value.code().name == "RESOURCE_EXHAUSTED" and "more than can be" in caught.value.details()
    made.budget.change(-2 << 20)
    assert not list(replies) if streamed else True
    assert given_back(made)


def test_a_call_that_is_cancelled_gives_back_what_was_held_for_it(place):
    made = place()
    made.hold()
    waiting = made.call().future(request(x=LARGE), timeout=LONG)
    made.desk.arrived()
    waiting.cancel()
    assert given_back(made)
    made.free()
    assert given_back(made)


def given_back(made):
    """Whether nothing is held once the calls are over, which the server learns a moment later."""
    end = threading.Event()
    for _ in range(3000):
        if not made.lane._calls and not made.budget.held_bytes:
            return True
        end.wait(0.01)
    return False


def test_closing_cuts_short_who_still_waits(place):
    made = place()
    made.hold()
    waiting = made.call().future(request(), timeout=LONG)
    made.desk.arrived()
    made.lane.close()
    assert made.desk.gone.get(timeout=LONG).kind == "cancelled"
    assert waiting.exception() is not None
    made.free()


def test_an_address_in_use_is_told(place):
    made = place()
    with pytest.raises(InputError, match=f"cannot listen on {made.address}"):
        GrpcLane(made.service, made.lane.addresses[0], made.budget)


def test_a_lane_stands_beside_http_and_goes_with_the_server(folder):
    server = Server(
        Settings(folder),
        [Address(port=0)],
        beside=[lambda service, budget: GrpcLane(service, ANYWHERE, budget)],
    )
    thread = serving(server)
    _, lane = server.lanes
    with grpc.insecure_channel(lane.addresses[0].place) as channel:
        reply = channel.unary_unary(SERVICE + "ModelInfer")(request(), timeout=LONG, wait_for_ready=True)
        np.testing.assert_array_equal(answer(reply), 2 * X)
        server.stop()
        thread.join(LONG)
        assert not thread.is_alive() and not lane.busy


def guarded(place, folder, *roles):
    """A token with those roles, and a place that asks for one."""
    token = new_token(folder / "tokens", roles)
    return token, place(safety=Safety(tokens=Tokens(folder / "tokens")))


def test_with_tokens_every_call_but_the_health_ones_needs_one(place, tmp_path):
    right, made = guarded(place, tmp_path)
    assert made.client.is_server_live() and made.client.is_server_ready()
    for given in ({}, {"authorization": "Bearer wrong"}, {"authorization": right}, {"authorization": f"Basic {right}"}):
        for ask in (made.client.get_server_metadata, lambda **more: made.client.infer("double", tensor(), **more)):
            with pytest.raises(InferenceServerException) as caught:
                ask(headers=given)
            why = "not known here" if given == {"authorization": "Bearer wrong"} else "Bearer TOKEN"
            assert caught.value.status() == "StatusCode.UNAUTHENTICATED" and why in caught.value.message()
    with pytest.raises(grpc.RpcError) as refused:
        list(made.stream()(iter([request()]), timeout=LONG, metadata=(("authorization", "Bearer wrong"),)))
    assert refused.value.code().name == "UNAUTHENTICATED"
    right = {"authorization": f"Bearer {right}"}
    assert made.client.get_server_metadata(headers=right).name == "edgewright"
    assert made.client.infer("double", tensor(), headers=right) is not None
    replies = made.stream()(iter([request()]), timeout=LONG, metadata=tuple(right.items()))
    assert [r.error_message for r in replies] == [""]


def test_with_a_certificate_it_speaks_tls_and_nothing_else(place, tmp_path):
    chain, key = make_certificate(tmp_path)
    made = place(safety=Safety(Certificate(chain, key)))
    with grpc.secure_channel(made.address, grpc.ssl_channel_credentials(chain.read_bytes())) as channel:
        np.testing.assert_array_equal(
            answer(channel.unary_unary(SERVICE + "ModelInfer")(request(), timeout=LONG)), 2 * X
        )
    with pytest.raises(grpc.RpcError) as caught:
        made.call()(request(), timeout=LONG)
    assert caught.value.code().name == "UNAVAILABLE"


def test_a_renewed_certificate_is_shown_to_who_comes_after(place, tmp_path):
    certificate = Certificate(*make_certificate(tmp_path))
    made, first = place(safety=Safety(certificate)), certificate.chain.read_bytes()
    own = [("grpc.use_local_subchannel_pool", 1)]

    def ask(channel):
        return channel.unary_unary(SERVICE + "ModelInfer")(request(), timeout=LONG)

    with grpc.secure_channel(made.address, grpc.ssl_channel_credentials(first), own) as before:
        assert ask(before)
        second = make_certificate(tmp_path, "two")[0].read_bytes()
        certificate.reload()
        with grpc.secure_channel(made.address, grpc.ssl_channel_credentials(second), own) as after:
            assert ask(after) and ask(before), "who is connected stays so"
        with (
            grpc.secure_channel(made.address, grpc.ssl_channel_credentials(first), own) as stale,
            pytest.raises(grpc.RpcError) as caught,
        ):
            ask(stale)
        assert caught.value.code().name == "UNAVAILABLE"
        certificate.chain.write_text("no certificate")
        with pytest.raises(InputError):
            certificate.reload()
        with grpc.secure_channel(made.address, grpc.ssl_channel_credentials(second), own) as after:
            assert ask(after), "the last good one goes on"


def test_every_call_has_a_role():
    assert {*CALLS, "/grpc.health.v1.Health/Check"} == {*TAKES, *OPEN}


def test_a_stream_ends_when_its_token_is_taken_from_it(place, tmp_path):
    token, made = guarded(place, tmp_path, "infer")
    more = queue.SimpleQueue()
    told = (("authorization", f"Bearer {token}"),)
    replies = made.stream()(iter(more.get, None), timeout=LONG, metadata=told)
    more.put(request())
    assert not next(replies).error_message
    (tmp_path / "tokens").write_text("")
    assert made.safety.refresh()
    made.lane.sweep()
    with pytest.raises(grpc.RpcError) as caught:
        next(replies)
    assert caught.value.code().name == "UNAUTHENTICATED" and "revoked" in caught.value.details()
    more.put(None)


def test_strict_readiness_is_that_of_all_models(place):
    assert not place(strict=True).client.is_server_ready()


def test_a_lane_that_never_started_gives_its_port_back(place):
    made = place()
    lane = GrpcLane(made.service, ANYWHERE, made.budget)
    lane.close()
    again = GrpcLane(made.service, lane.addresses[0], made.budget)
    again.close()


def test_without_the_extra_it_says_what_to_install(monkeypatch):
    for name in [name for name in sys.modules if name.startswith("edgewright.runtime.lanes.rpc.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "grpc", None)
    with pytest.raises(MissingExtra, match=re.escape("pip install 'edgewright[grpc]'")):
        grpc_lane()


def test_the_program_serves_it_where_it_is_told_to(folder):
    command = [sys.executable, "-m", "edgewright.runtime", "--models-dir", str(folder / "double.onnx")]
    where = ["--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0"]
    with subprocess.Popen([*command, *where], stderr=subprocess.PIPE, text=True) as program:
        try:
            port = next(int(line.rpartition(":")[2]) for line in program.stderr if "grpc://127.0.0.1:" in line)
            with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
                raw = channel.unary_unary(SERVICE + "ModelInfer")(request(), timeout=LONG, wait_for_ready=True)
            np.testing.assert_array_equal(answer(raw), 2 * X)
            program.send_signal(signal.SIGTERM)
            assert program.wait(LONG) == 0 and program.stderr.read()[25:] == "shutdown  served to the end\n"
        finally:
            program.kill()
    far = subprocess.run([*command, "--grpc", "0.0.0.0:0"], stderr=subprocess.PIPE, text=True, timeout=LONG)
    assert far.returncode == 2 and "--insecure" in far.stderr
