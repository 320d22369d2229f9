"""Every call of Triton's own clients against our server, and how the protocol benchmark counts."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))
pytest.importorskip("tritonclient.grpc")
pytest.importorskip("tritonclient.http")

from protocol import models, run, triton_clients
from protocol.subjects import Subject

from edgewright.runtime.addresses import Address
from edgewright.runtime.lanes.rpc import grpc_lane
from edgewright.runtime.loading.opening import Settings
from edgewright.runtime.server import Server, serving
from edgewright.testing.oip import CHECKS, Result

LONG = 60.0


def rpc(service, budget):
    return grpc_lane()(service, Address(port=0, scheme="grpc"), budget)


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    folder = tmp_path_factory.mktemp("protocol") / "models"
    models.write(folder)
    made = Server(Settings(folder / "onnx"), [Address(port=0)], beside=[rpc])
    thread = serving(made)
    yield {"http": f"127.0.0.1:{made.addresses[0].port}", "grpc": made.lanes[1].addresses[0].place}
    made.stop()
    thread.join(LONG)
    assert not thread.is_alive()


@pytest.mark.parametrize("name", sorted(triton_clients.MODULES))
def test_every_call_of_tritons_clients_is_answered(served, name):
    found = [*triton_clients.outcomes(name, served[name.split(".")[0]], "one")]
    assert len(found) > 30 and [one for one in found if one[1] != "ok"] == []


def result(name, outcome, why=""):
    return Result(CHECKS[name], outcome, why)


def test_a_check_fails_with_one_model_and_does_not_apply_where_it_applies_to_none():
    found = {model: {name: result(name, "passed") for name in CHECKS} for model in ("a", "b")}
    found["a"]["infer"], found["b"]["infer"] = result("infer", "skipped"), result("infer", "failed", "why not")
    found["a"]["infer.id"] = result("infer.id", "skipped")
    found["a"]["infer.rows"] = found["b"]["infer.rows"] = result("infer.rows", "skipped")
    row = run.summary(Subject("Other", lambda folder, port: ([], {}), lambda: "1.0"), found)
    assert (row["passed"], row["failed"], row["not applicable"]) == (len(CHECKS) - 2, 1, 1)
    assert [(one["check"], one["models"], one["why"]) for one in row["failures"]] == [("infer", ["b"], "why not")]
    told = run.table([row], ["a client: 3 of 3 calls"])
    assert f"| Other | 1.0 | {len(CHECKS) - 2} | 1 | 1 |" in told
    assert "| infer | A request made from the metadata" in told
