"""The call that hands observations over, in a real server: who may ask, the cache, shadows, and images."""

import http.client
import json
import threading
import time

import numpy as np
import pytest

from edgewright.core.messages import Observation
from edgewright.formats import save
from edgewright.runtime.addresses import Address
from edgewright.runtime.config import Config, ModelTable, ServerTable
from edgewright.runtime.front import OBSERVATIONS
from edgewright.runtime.loading.opening import Settings
from edgewright.runtime.safety import Safety
from edgewright.runtime.server import Server, serving
from edgewright.runtime.tokens import ROLES, Tokens, new_token
from edgewright.testing.build import Build

LONG = 60.0


@pytest.fixture
def models(tmp_path):
    """Two versions of a classifier: the second chooses the class that the first likes least."""
    (tmp_path / "models" / "m").mkdir(parents=True)
    for version, factor in (("1", 1.0), ("2", -1.0)):
        build = Build()
        build.output(build.node("Mul", build.input("x", ["n", 4]), build.constant(np.float32(factor))), ["n", 4])
        save(build.model(), tmp_path / "made")
        (tmp_path / "made" / "model.onnx").rename(tmp_path / "models" / "m" / f"{version}.onnx")
    return tmp_path / "models"


@pytest.fixture
def start(models):
    running = []

    def begin(config=None, safety=None):
        server = Server(Settings(models, config=config or Config(), watch_s=0), [Address(port=0)], safety)
        running.append((server, serving(server)))
        return server

    yield begin
    for server, thread in running:
        server.stop()
        thread.join(LONG)
        assert not thread.is_alive()


def ask(server, target, told, **headers):
    address = server.addresses[0]
    connection = http.client.HTTPConnection(address.host, address.port, timeout=LONG)
    connection.request("POST", target, json.dumps(told), headers)
    answer = connection.getresponse()
    raw = answer.read()
    connection.close()
    return answer.status, json.loads(raw)


def infer(server, *rows, version=""):
    told = {"name": "x", "datatype": "FP32", "shape": [len(rows), 4], "data": np.ravel(rows).tolist()}
    target = f"/v2/models/m/versions/{version}/infer" if version else "/v2/models/m/infer"
    status, found = ask(server, target, {"inputs": [told], "parameters": {"timeout": 60_000_000}})
    assert status == 200, found


def taken(server, batch=""):
    status, found = ask(server, OBSERVATIONS, {"taken": batch})
    assert status == 200, found
    return found["batch"], [Observation.from_json(one) for one in found["observations"]]


def test_a_batch_is_handed_over_until_it_was_taken(start):
    server = start()
    infer(server, [1, 2, 3, 4], [9, 2, 3, 4])
    infer(server, [1, 0, 0, 0])
    batch, (one,) = taken(server)
    assert (one.model, one.bundle) == ("m", "")
    assert one.counters == {"requests": 2, "errors": 0, "predictions": 3}
    assert one.classes == {"0": 1, "1": 2}
    infer(server, [1, 0, 0, 0])
    assert taken(server) == (batch, [one])
    second, (other,) = taken(server, batch)
    assert second != batch
    assert other.counters["requests"] == 1
    assert taken(server, second)[1] == []


def test_versions_of_one_model_are_one_line_where_no_bundle_tells_them_apart(start):
    server = start()
    infer(server, [1, 0, 0, 0], version="1")
    infer(server, [1, 0, 0, 0], version="2")
    (one,) = taken(server)[1]
    assert one.counters["requests"] == 2
    assert one.classes == {"0": 1, "1": 1}


def test_what_a_version_counted_is_told_after_it_was_unloaded(start):
    server, over = start(), threading.Event()
    infer(server, [1, 0, 0, 0])
    server.loader.unload("m", lambda error: over.set())
    assert over.wait(LONG)
    (one,) = taken(server)[1]
    assert one.counters["requests"] == 1


def test_only_who_manages_may_take(start, tmp_path):
    tokens = {role: new_token(tmp_path / "tokens", [role]) for role in ROLES}
    server = start(safety=Safety(tokens=Tokens(tmp_path / "tokens")))
    asked = {role: ask(server, OBSERVATIONS, {}, Authorization=f"Bearer {token}")[0] for role, token in tokens.items()}
    assert asked == {"infer": 403, "read": 403, "manage": 200}
    assert ask(server, OBSERVATIONS, {})[0] == 401


@pytest.mark.parametrize("told", [{"taken": 3}, {"taken": None}, []])
def test_odd_requests_are_refused(start, told):
    assert ask(start(), OBSERVATIONS, told)[0] == 400


def test_answers_from_the_cache_count_but_take_no_time(start):
    server = start(Config(ServerTable(cache_mb=1)))
    for _ in range(5):
        infer(server, [1, 2, 3, 4])
    (one,) = taken(server)[1]
    assert one.counters == {"requests": 5, "errors": 0, "predictions": 5}
    assert one.series["latency_ms"].sketch.count == 1


def test_equal_requests_at_the_same_time_each_count_once(start):
    server = start(Config(ServerTable(cache_mb=1)))
    threads = [
        threading.Thread(target=lambda n=n: [infer(server, [n % 3, i, 0, 0]) for i in range(30)]) for n in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (one,) = taken(server)[1]
    assert (one.counters["requests"], one.counters["predictions"]) == (180, 180)


def test_a_shadow_tells_how_often_it_chose_otherwise(start):
    server = start(Config(models={"m": ModelTable(shadow={"version": "1"})}))
    batch, compared, disagreed, until = "", 0, 0, time.monotonic() + LONG
    while compared < 3 and time.monotonic() < until:
        infer(server, [1, 2, 3, 4])
        batch, found = taken(server, batch)
        compared += sum(one.counters.get("compared", 0) for one in found)
        disagreed += sum(one.counters.get("disagreed", 0) for one in found)
    assert compared >= 3
    assert disagreed == compared
