"""The layers of a version: timed and quantized one by one in a child, asked for and told by the hub."""

import json
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto as T
from onnx import helper, numpy_helper

from edgewright.core.errors import InputError
from edgewright.datasets import dataset
from edgewright.formats import load
from edgewright.hub.jobs import kinds, profiling
from edgewright.hub.jobs.measuring import RESULT
from edgewright.hub.jobs.profiled import MOST_LAYERS, RESULT_BYTES, fitted, read_profile
from edgewright.hub.jobs.queue import claim, held, move
from edgewright.hub.jobs.results import settle_measured
from edgewright.hub.jobs.rules import Able
from edgewright.hub.jobs.tables import Job
from edgewright.measurement.profile import OperatorTime

DIGITS = Path(__file__).parents[3] / "examples" / "digits"
OPERATOR = {"name": "a", "op": "Conv", "kernel": "CPU", "ms": 0.5, "share": 1.0, "layers": ["conv", "relu"]}
RESULT_JSON = {
    "operators": [OPERATOR], "sensitivity": [{"layer": "conv", "sqnr_db": 40.5}], "why": "", "timed_on": "dataset",
    "samples": 64, "engine": "onnxruntime", "threads": 1, "machine": {"cores": 2}, "notes": [],
}  # fmt: skip


def measured(folder, model=DIGITS / "digits.onnx", data=DIGITS / "digits.npz", budget_s=60.0):
    said = []
    asked = {
        "model": str(model), "data": None if data is None else str(data), "reading": {}, "out": str(folder / "out"),
        "wish": {"budget_s": budget_s, "seed": 0},
    }  # fmt: skip
    profiling.profile_layers(asked, said.append)
    return read_profile((folder / "out" / RESULT).read_bytes()), said


def layers_of(path):
    from edgewright.hub.models.reading import _inspected

    return [one["name"] for one in _inspected(load(path))[1]]


def test_layers_are_timed_and_quantized_alone(tmp_path):
    found, said = measured(tmp_path)
    known = set(layers_of(DIGITS / "digits.onnx"))
    told = [layer for one in found["operators"] for layer in one["layers"]]
    assert set(told) == known and len(told) == len(known), "each layer stands in one operator"
    assert sum(one["share"] for one in found["operators"]) == pytest.approx(1.0, abs=1e-3)
    assert all(one["ms"] > 0 for one in found["operators"]) and any(
        len(one["layers"]) > 1 for one in found["operators"]
    )
    assert len(found["sensitivity"]) == 10 and {one["layer"] for one in found["sensitivity"]} <= known
    levels = [one["sqnr_db"] for one in found["sensitivity"]]
    assert levels == sorted(levels) and 10 < levels[0] < 100
    assert found["timed_on"] == "dataset" and found["samples"] == 64 and not found["why"] and found["machine"]
    assert said[0] == {"ready": True} and {one["progress"]["stage"] for one in said[1:]} == {"times", "sensitivity"}


def test_without_a_dataset_there_are_times_on_noise(tmp_path):
    found, _ = measured(tmp_path, data=None)
    assert found["operators"] and found["sensitivity"] == [] and found["timed_on"] == "noise"
    assert "no dataset was given" in found["why"]


def test_a_dataset_that_does_not_fit_is_told(tmp_path):
    np.savez(tmp_path / "other.npz", image=np.zeros((40, 7), np.float32))
    found, _ = measured(tmp_path, data=tmp_path / "other.npz")
    assert found["operators"] and not found["sensitivity"] and found["timed_on"] == "noise"
    assert found["why"].startswith("the dataset does not fit: ")


def test_what_is_known_when_the_time_is_up_is_kept(tmp_path, monkeypatch):
    tell, done = profiling._Teller.tell, []

    def heard(self, stage, tried):
        done.append(tried)
        tell(self, stage, tried)

    monkeypatch.setattr(profiling._Teller, "tell", heard)
    monkeypatch.setattr(profiling._Teller, "left", lambda _: 0.0 if 3 in done else 1.0)
    found, _ = measured(tmp_path)
    assert 3 <= len(found["sensitivity"]) < 10 and "the time was up after" in found["why"]


def test_a_moment_in_which_the_machine_did_other_things_does_not_count():
    rounds = [[OperatorTime("a", "Conv", a, 0.5, order=0), OperatorTime("b", "Relu", 1.0, 0.5, order=1)]
              for a in (3.0, 90.0, 3.0)]  # fmt: skip
    assert [(one.name, one.ms, one.share) for one in profiling.medians(rounds)] == [("a", 3.0, 0.75), ("b", 1.0, 0.25)]


def test_a_slow_network_is_ranked_on_fewer_samples():
    model = load(DIGITS / "digits.onnx")
    samples = dataset(DIGITS / "digits.npz").bind(model.signature).splits(0).calibration
    assert profiling.enough(samples, model, 0.001, 60.0) is samples
    few = [len(profiling.enough(samples, model, run_s, 60.0)) for run_s in (0.2, 0.5, 100.0)]
    assert few == sorted(few, reverse=True) and few[-1] == 4 and few[0] > 4


def test_nodes_without_a_name_are_called_as_the_graph_calls_them(tmp_path):
    weights = np.random.default_rng(0).standard_normal((8, 8)).astype(np.float32)
    nodes = [helper.make_node("MatMul", [a, "w"], [b]) for a, b in (("x", "y"), ("y", "z"))]
    graph = helper.make_graph(
        [nodes[0], helper.make_node("Constant", [], ["c"], value_float=2.0), nodes[1],
         helper.make_node("Mul", ["z", "c"], ["p"])], "plain",
        [helper.make_tensor_value_info("x", T.FLOAT, ["n", 8])],
        [helper.make_tensor_value_info("p", T.FLOAT, ["n", 8])], [numpy_helper.from_array(weights, "w")],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    (tmp_path / "plain.onnx").write_bytes(model.SerializeToString())
    rows = np.random.default_rng(1).standard_normal((64, 8)).astype(np.float32)
    np.savez(tmp_path / "rows.npz", x=rows)
    found, _ = measured(tmp_path, tmp_path / "plain.onnx", tmp_path / "rows.npz")
    known = layers_of(tmp_path / "plain.onnx")
    assert known == ["MatMul_0", "MatMul_2", "Mul_3"]
    assert {one["layer"] for one in found["sensitivity"]} == {"MatMul_0", "MatMul_2"}
    assert {layer for one in found["operators"] for layer in one["layers"]} <= set(known)
    assert any("MatMul_0" in one["layers"] for one in found["operators"])


def hostile(**changes):
    return json.dumps(RESULT_JSON | changes).encode()


@pytest.mark.parametrize(
    "data",
    [
        b"", b"[]", b"{", b'{"operators": NaN}', b"x" * (RESULT_BYTES + 1), hostile(operators={}),
        hostile(operators=[OPERATOR] * (MOST_LAYERS + 1)), hostile(operators=[{**OPERATOR, "ms": -1}]),
        hostile(operators=[{**OPERATOR, "ms": "1"}]), hostile(operators=[{**OPERATOR, "more": 1}]),
        hostile(operators=[{**OPERATOR, "layers": ["a" * 5000]}]), hostile(operators=[{**OPERATOR, "name": "\0"}]),
        hostile(operators=[{**OPERATOR, "share": 1.5}]), hostile(sensitivity=[{"layer": "a", "sqnr_db": 1e9}]),
        hostile(sensitivity=[{"layer": 7, "sqnr_db": 1.0}]), hostile(machine={"a": "b" * 2**20}), hostile(more=1),
        hostile(timed_on="elsewhere"), hostile(notes=["a"] * 100), hostile(machine={"\0": 1}), hostile(samples=True),
    ],
)  # fmt: skip
def test_a_result_that_the_child_cannot_have_meant_is_refused(data, tmp_path):
    (tmp_path / RESULT).write_bytes(data)
    with pytest.raises(InputError, match=r"cannot be read|bytes"):
        kinds.KINDS["profile"].collect(None, "", tmp_path)


def test_a_result_in_order_is_taken():
    assert read_profile(hostile()) == RESULT_JSON


def test_of_very_many_layers_the_slowest_are_kept_with_a_note():
    many = [{**OPERATOR, "name": f"n{i}", "layers": ["l" * 200] * 10} for i in range(9000)]
    kept = fitted({**RESULT_JSON, "operators": many})
    found = read_profile(json.dumps(kept, separators=(",", ":")).encode())
    assert 0 < len(found["operators"]) < MOST_LAYERS and found["operators"][0]["name"] == "n0"
    assert found["sensitivity"] == RESULT_JSON["sensitivity"] and "left out" in found["notes"][0]


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
class TestAsked:
    """Through the API."""

    @pytest.fixture
    def asked(self, jobs, uploads):
        jobs.state._parts.pop("jobs.inputs")
        jobs.seen = uploads.version()
        jobs.at = f"/api/edge/versions/{jobs.seen['id']}/profile"
        return jobs

    def test_it_is_asked_for_once_at_a_time_and_shown_nowhere_else(self, asked):
        assert "never measured" in asked.north.get(asked.at, 404)["detail"]
        made = asked.north.post(asked.at, {"dataset": None, "seconds": 5.0})
        assert made["state"] == "queued" and "no worker is running" in made["reason"] and made["result"] is None
        assert "being measured already" in asked.north.post(asked.at, {"dataset": None}, 409)["detail"]
        assert asked.north.get("/api/edge/optimization-jobs")["items"] == []
        asked.north.get(f"/api/edge/optimization-jobs/{made['job']}", 404)
        stopped = asked.north.post(f"{asked.at}/cancel", {}, 200)
        assert stopped["state"] == "cancelled" and "retry" not in stopped["reason"]
        asked.north.post(f"{asked.at}/cancel", {}, 409)
        events = asked.north.get(f"/api/edge/events?after=0&of={asked.seen['id']}")["items"]
        assert [one["data"]["state"] for one in events if one["kind"] == "model.profile"] == ["queued", "cancelled"]
        asked.hub.south.get(asked.at, 404)
        asked.hub.south.post(asked.at, {"dataset": None}, 404)
        viewer = asked.hub.user("someone", "viewer")
        assert viewer.get(asked.at)["state"] == "cancelled"
        viewer.post(asked.at, {"dataset": None}, 403)

    def test_what_is_not_there_cannot_be_measured(self, asked):
        asked.north.post(asked.at, {"dataset": "dat_" + "0" * 26}, 404)
        asked.north.post(asked.at, {"dataset": None, "seconds": 0}, 422)
        asked.north.post(asked.at, {"dataset": 7}, 422)
        asked.north.get("/api/edge/versions/ver_" + "0" * 26 + "/profile", 404)
        asked.north.get(asked.at, 404)

    def test_the_last_one_that_was_done_is_shown_until_the_next_is(self, asked):
        first = asked.north.post(asked.at, {"dataset": None})
        self.take(asked, lambda row, state: settle_measured(state, row.tenant, row.id, row.claim, "w", RESULT_JSON))
        told = asked.north.get(asked.at)
        assert told["state"] == "done" and told["result"]["operators"] == [OPERATOR] and told["result"]["at"]
        second = asked.north.post(asked.at, {"dataset": None})
        assert second["job"] != first["job"] and second["result"]["sensitivity"] == RESULT_JSON["sensitivity"]

        def fail(row, state):
            with state.database.write(row.tenant) as session:
                found = held(session, row.id, row.claim, "w")
                found.progress = {"stage": {"a": 1}, "tried": -3, "elapsed_s": "x"}  # as a hostile child might say
                move(session, found, "failed", state.clock(), "it broke; then retry the job")

        self.take(asked, fail)
        told = asked.north.get(asked.at)
        assert (told["state"], told["reason"], told["stage"], told["tried"]) == (
            "failed",
            "it broke; then measure again",
            "",
            0,
        )
        assert told["result"]["operators"] == [OPERATOR], "what was known stays"
        third = asked.north.post(asked.at, {"dataset": None})
        with asked.state.database.read(asked.hub.tenants["north"]) as session:
            kept = {row.id for row in session.query(Job)}
        assert kept == {first["job"], third["job"]}, "those between are gone"

    def take(self, asked, end):
        tenant, job, _ = claim(asked.state, "w", Able.of(["onnxruntime"]))
        with asked.state.database.read(tenant) as session:
            row = session.find(Job, job)
            session.expunge(row)
        end(row, asked.state)


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
def test_a_worker_measures_the_layers_of_what_was_uploaded(jobs, uploads, until):
    jobs.state._parts.pop("jobs.inputs")
    data = uploads.upload((DIGITS / "digits.npz").read_bytes(), filename="digits.npz", dataset="digits")
    version = uploads.upload((DIGITS / "digits.onnx").read_bytes(), filename="digits.onnx", model=uploads.model())
    at = f"/api/edge/versions/{version['id']}/profile"
    jobs.north.post(at, {"dataset": data["id"], "seconds": 120.0})
    worker = jobs.worker(EDGEWRIGHT_TEST_REAL="1")

    def over():
        told = jobs.north.get(at)
        return told if told["state"] in jobs.over else None

    told = until(over, worker.log.read_text())
    assert told["state"] == "done" and told["host"], told
    found = told["result"]
    layers = {one["name"] for one in jobs.north.get(f"/api/edge/versions/{version['id']}/graph")["layers"]}
    assert {layer for one in found["operators"] for layer in one["layers"]} == layers
    assert len(found["sensitivity"]) == 10 and found["host"] and found["dataset"] == data["id"]
    states = [
        one["data"]["state"] for one in jobs.north.get(f"/api/edge/events?after=0&of={version['id']}")["items"]
        if one["kind"] == "model.profile"
    ]  # fmt: skip
    assert states == ["queued", "running", "done"]
