"""A bundle beside a served model, begun and ended while requests go on; and labels that come later."""

import http.client
import json
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from edgewright.core.messages import Observation
from edgewright.formats import save
from edgewright.runtime import Runtime
from edgewright.runtime.addresses import Address
from edgewright.runtime.config import Config
from edgewright.runtime.faults import BadRequest
from edgewright.runtime.front import LABELS, OBSERVATIONS, SHADOWS
from edgewright.runtime.labels import Labels
from edgewright.runtime.loading.opening import Settings
from edgewright.runtime.observations import Observations
from edgewright.runtime.safety import Safety
from edgewright.runtime.server import Server, serving
from edgewright.runtime.tokens import Tokens, new_token
from edgewright.testing.agents import digits, multiplier
from edgewright.testing.build import Build
from edgewright.trust import SigningKey

LONG = 60.0
IMAGES = np.load(Path(__file__).parents[2] / "examples" / "digits" / "digits.npz")["image"][:40]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder, key = tmp_path_factory.mktemp("beside"), SigningKey.generate()
    digests = {
        "good": digits(folder / "good.ewb", key), "worse": digits(folder / "worse.ewb", key, version="2", scale=-1.0),
        "other": multiplier(folder / "other.ewb", key, 2.0),
        "forged": digits(folder / "forged.ewb", SigningKey.generate(), version="3", scale=-1.0),
    }  # fmt: skip
    (folder / "models").mkdir()
    (folder / "models" / "digits").symlink_to(folder / "good.folder")
    return folder, key, digests


@pytest.fixture
def start(made):
    running = []

    def begin(config=None, safety=None):
        folder, key, _ = made
        settings = Settings(folder / "models", [key.public], config or Config(), watch_s=0)
        server = Server(settings, [Address(port=0)], safety)
        running.append((server, serving(server)))
        return server

    yield begin
    for server, thread in running:
        server.stop()
        thread.join(LONG)
        assert not thread.is_alive()


def ask(server, method, target, told=None, **headers):
    address = server.addresses[0]
    connection = http.client.HTTPConnection(address.host, address.port, timeout=LONG)
    connection.request(method, target, None if told is None else json.dumps(told), headers)
    answer = connection.getresponse()
    raw = answer.read()
    connection.close()
    return answer.status, json.loads(raw) if raw.strip() else None


def infer(server, image, id=""):
    told = {"name": "image", "datatype": "FP32", "shape": [1, *image.shape], "data": image.ravel().tolist()}
    status, found = ask(server, "POST", "/v2/models/digits/infer", {"id": id, "inputs": [told]})
    assert status == 200, found
    return int(np.argmax(found["outputs"][0]["data"]))


def begin(server, folder, **more):
    return ask(server, "POST", SHADOWS, {"model": "digits", "path": str(folder), **more})


def shadows(server):
    status, told = ask(server, "GET", SHADOWS)
    assert status == 200
    return told["shadows"]


def observed(server, taken=""):
    _, told = ask(server, "POST", OBSERVATIONS, {"taken": taken})
    return {(one.model, one.bundle): one for one in map(Observation.from_json, told["observations"])}


def test_a_shadow_begins_is_told_of_and_ends_while_requests_go_on(start, made):
    folder, _, digests = made
    server = start()
    before = infer(server, IMAGES[0])
    assert shadows(server) == [] and server.desk.plain
    assert begin(server, folder / "worse.folder", share=0.5) == (200, None)
    assert begin(server, folder / "worse.folder", share=0.5) == (200, None), "it runs already"
    deadline, rows, pause = time.monotonic() + 2 * LONG, 0, 0.02
    while rows < 20 and time.monotonic() < deadline:
        for image in IMAGES[:4]:
            infer(server, image)
            time.sleep(pause)  # it runs in the pauses between requests: longer ones where the machine is busy
        (seen,) = shadows(server)
        rows, pause = seen["rows"], pause if seen["rows"] > rows else min(2 * pause, 1.0)
    assert infer(server, IMAGES[0]) == before, "it answers nobody"
    assert (seen["digest"], seen["version"], seen["failed"]) == (digests["worse"], "2", 0)
    assert seen["answering"] == digests["good"] and seen["asked"] >= seen["compared"] == seen["rows"]
    assert seen["disagreed"] == seen["rows"], "the largest logit of one is the smallest of the other"
    assert begin(server, "") == (200, None) and begin(server, "") == (200, None)
    assert shadows(server) == [] and server.desk.plain and len(server.loader._shelf.open_ones) == 1
    told = observed(server)
    mine, others = told["digits+shadow", digests["worse"]], told["digits", digests["good"]]
    assert mine.shadow and not others.shadow
    assert mine.counters["compared"] == mine.counters["disagreed"] == mine.counters["requests"] >= seen["rows"]
    assert {"latency_ms", "confidence", "lead"} <= mine.series.keys()
    assert "compared" not in others.counters


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("good.folder", "answered by this very bundle"), ("other.folder", "other inputs or outputs"),
        ("forged.folder", "signed"), ("models", "holds no bundle"), ("nowhere", "holds no bundle"),
    ],
)  # fmt: skip
def test_what_cannot_be_a_shadow_is_refused_and_nothing_is_left_of_it(start, made, name, why):
    server = start()
    status, told = begin(server, made[0] / name)
    assert status == 400 and why in told["error"], told
    assert shadows(server) == [] and len(server.loader._shelf.open_ones) == 1
    infer(server, IMAGES[0])


def test_a_shadow_ends_with_its_model(start, made):
    server = start()
    assert begin(server, made[0] / "worse.folder")[0] == 200
    assert ask(server, "POST", "/v2/repository/models/digits/unload", {})[0] == 200
    deadline = time.monotonic() + LONG
    while shadows(server) and time.monotonic() < deadline:
        pass
    assert not server.loader._shelf.open_ones and server.desk.plain


def test_there_is_no_room_for_a_shadow_where_models_hold_all_memory(start, made):
    server = start()
    (slot,) = server.loader._shelf.slots.values()
    server.loader._budget._bytes, slot.size_bytes = 10**6, 10**6 - 1
    status, told = begin(server, made[0] / "worse.folder")
    assert status == 503 and "memory_mb" in told["error"], told
    infer(server, IMAGES[0])
    server.loader._budget._bytes, slot.size_bytes = 0, 0
    assert begin(server, made[0] / "worse.folder")[0] == 200
    (beside,) = server.loader._beside.slots
    server.loader._budget._bytes, beside.size_bytes = 10**6, 10**6 - 1
    server.loader._make_room(slot, slot.served.source, keep=True, measured_bytes=10**6 - 1)
    assert not shadows(server), "it is the first to go"


def test_roles(start, made, tmp_path):
    tokens = {role: new_token(tmp_path / "tokens", [role]) for role in ("infer", "read", "manage")}
    server = start(safety=Safety(tokens=Tokens(tmp_path / "tokens")))

    def allowed(role, method, target, told):
        return ask(server, method, target, told, Authorization=f"Bearer {tokens[role]}")[0] != 403

    calls = {("POST", SHADOWS): "manage", ("GET", SHADOWS): "read", ("POST", LABELS): "infer"}
    for (method, target), wanted in calls.items():
        assert [role for role in tokens if allowed(role, method, target, [] if target == LABELS else {})] == [wanted]


def test_labels_are_held_against_what_was_answered(start, made):
    server, digest = start(), made[2]["good"]
    answers = [infer(server, image, f"r{number}") for number, image in enumerate(IMAGES[:6])]
    infer(server, IMAGES[6])
    assert len(server.desk.labels) == 6, "nothing is kept of requests without an id"
    told = [
        {"id": "r0", "label": f"digit {answers[0]}"}, {"id": "r1", "label": (answers[1] + 1) % 10},
        {"id": "r2", "label": "nine"}, {"id": "r9", "label": 1}, {"id": "r3", "label": str(answers[3])},
        {"id": "r0", "label": "digit 1"}, {"id": "r4", "label": [None]}, {"id": "r5", "label": [1, 2]},
    ]  # fmt: skip
    wanted = {"labelled": 3, "wrong": 1, "unmatched": 2, "unknown": 3}
    assert ask(server, "POST", LABELS, told) == (200, wanted)
    counters = observed(server)["digits", digest].counters
    assert (counters["labelled"], counters["wrong"]) == (3, 1)
    for odd in (
        {},
        [1],
        [{"id": 1, "label": "a"}],
        [{"id": "a"}],
        [{"id": "a", "label": 1.5}],
        [{"id": "a", "label": []}],
    ):
        assert ask(server, "POST", LABELS, odd)[0] == 400, odd


def test_labels_in_process(tmp_path):
    build = Build()
    build.output(build.node("Mul", build.input("x", ["n", 4]), build.constant(np.float32(1))), ["n", 4])
    save(build.model(), tmp_path)
    with Runtime(tmp_path / "model.onnx") as runtime:
        runtime.infer({"x": np.float32([[1, 3, 2, 0]])}, id="a")
        runtime.infer({"x": np.float32([[1, 3, 2, 0], [9, 3, 2, 0], [np.nan, 1, 1, 1]])}, id="b")
        told = runtime.label([{"id": "a", "label": 2}, {"id": "b", "label": [None, 0, 1]}])
        assert told == {"labelled": 3, "wrong": 2, "unmatched": 0, "unknown": 0}, "an answer of nothing is wrong"
        with pytest.raises(BadRequest, match="labels are a list"):
            runtime.label([{"name": "a"}])


class Answering:
    """What ``Labels`` needs of a version."""

    class source:  # noqa: N801
        labels = ()

    class observed:  # noqa: N801
        about = "m", ""
        classes = staticmethod(lambda outputs: outputs["y"])


def test_what_is_kept_for_labels_is_bounded_in_bytes_and_time():
    now = [0.0]
    labels = Labels(Observations(), lambda: now[0])
    for number in range(60_000):
        labels.keep(Answering, f"request-{number}", {"y": np.zeros(1, np.int64)})
    assert 20_000 < len(labels) < 30_000 and labels._bytes <= 8 * 2**20
    assert labels.take([{"id": "request-0", "label": 0}])["unmatched"] == 1, "the oldest went first"
    now[0] = 8 * 86400.0
    assert labels.take([{"id": "request-59999", "label": 0}])["unmatched"] == 1
    labels.keep(Answering, "new", {"y": np.zeros(1, np.int64)})
    assert len(labels) == 1
    labels.keep(Answering, "x" * 300, {"y": np.zeros(1, np.int64)})
    labels.keep(Answering, "many", {"y": np.zeros(300, np.int64)})
    assert len(labels) == 1


def test_labels_from_many_threads_are_counted_once_each():
    observations = Observations()
    labels, wrong = Labels(observations), []
    for number in range(400):
        labels.keep(Answering, str(number), {"y": np.array([number % 2])})

    def tell():
        wrong.append(labels.take([{"id": str(number), "label": 0} for number in range(400)])["wrong"])

    threads = [threading.Thread(target=tell) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LONG)
    (told,) = observations.batch()[1]
    assert sum(wrong) == told["counters"]["wrong"] == 200 and told["counters"]["labelled"] == 400
