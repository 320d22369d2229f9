"""All gates held against a real small run, and against runs in which one thing is wrong."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from itertools import count
from typing import Any

import numpy as np
import onnx
import pytest

from edgewright.compression.contract import Context
from edgewright.compression.recipe import Recipe
from edgewright.core.candidate import Candidate
from edgewright.core.digests import canonical_json
from edgewright.core.errors import EngineError
from edgewright.core.measurement import Measurement
from edgewright.core.model import Model
from edgewright.core.store import Store
from edgewright.datasets import dataset
from edgewright.flows.compile import optimize
from edgewright.flows.gates import GATES, REQUIRED, TITLES, Case
from edgewright.flows.outcome import Result
from edgewright.flows.readiness import ready, verdict_line
from edgewright.formats.onnx import from_proto, parse
from edgewright.measurement.load import LoadResult, sustain
from edgewright.targets import target
from edgewright.testing.tiny import tiny_data, tiny_model

STEPS = ({"pass": "simplify"}, {"pass": "int8_static"}, {"pass": "strip"})


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Result:
    """A finished run for this machine whose best candidate is an INT8 one made here, with its steps in a store.

    Its times are written in, so that nothing depends on how busy this machine is.
    """
    data = dataset(tiny_data(160))
    found = optimize(tiny_model(), data, "raspberry-pi-5", max_accuracy_drop=5, budget_s=20, keep_structure=True,
                     engines=("onnxruntime",))  # fmt: skip
    context = replace(found.context, store=Store(tmp_path_factory.mktemp("store")), checkpoint=Context().checkpoint)
    made = Recipe(STEPS)(found.source, context)
    assert made.status == "applied", made.reason
    base = replace(found.baseline, metrics={**found.baseline.metrics, **times(2.0, 1.0)})
    best = Candidate("c" * 12, STEPS, made.model, "onnxruntime", base.options, times(1.0, 0.5))
    accuracy = next(a for i, a in found.accuracies.items() if i != found.baseline.id)
    return replace(
        found, context=context, target=target("host"), baseline=base, best=best, finals=(best,),
        accuracies={best.id: accuracy},
    )  # fmt: skip


def times(latency: float, ratio: float) -> dict[str, Measurement]:
    told = {"ratio": [ratio, ratio * 0.9, ratio * 1.1]}
    megabytes = 2e7 * ratio
    return {
        "latency_ms": Measurement(latency, "ms", "measured", 100, latency, latency, told),
        "latency_p99_ms": Measurement(2 * latency, "ms", "measured", 100, latency, 3 * latency),
        "ram_bytes": Measurement(megabytes, "B", "measured", 5, megabytes, megabytes),
    }


def calm(*asked: Any, **given: Any) -> LoadResult:
    """Real calls on a machine that is never busy."""
    return sustain(*asked, **given, work=lambda: 0, memory=lambda: 10**8)


@pytest.fixture(scope="module")
def report(run: Result) -> dict[str, Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("edgewright.flows.gates.load.sustain", calm)
        return ready(run)


def states(report: dict[str, Any]) -> dict[str, str]:
    return {gate["name"]: gate["state"] for gate in report["gates"]}


def reason(report: dict[str, Any], name: str) -> str:
    return next(str(gate["reason"]) for gate in report["gates"] if gate["name"] == name)


def only(run: Result, name: str, **more: Any) -> Any:
    assert run.best is not None
    with Case(run, run.best, **more) as case:
        return GATES[name](case)


def test_a_good_run_is_ready(run: Result, report: dict[str, Any]) -> None:
    assert report["schema"] == "edgewright.readiness/1" and report["candidate"] == run.best.id  # type: ignore[union-attr]
    assert list(states(report)) == list(TITLES)
    found = states(report)
    assert {found[name] for name in REQUIRED} == {"passed"}, report
    assert "failed" not in found.values(), [g for g in report["gates"] if g["state"] == "failed"]
    assert report["ready"] is True and verdict_line(report).startswith("ready: ")
    assert all(gate.keys() == {"name", "title", "state", "reason", "evidence"} for gate in report["gates"])


def test_the_report_is_plain_json_without_this_machines_names(report: dict[str, Any]) -> None:
    assert json.loads(canonical_json(report)) == json.loads(json.dumps(report, allow_nan=False))
    import platform

    assert platform.node() not in json.dumps(report) or len(platform.node()) < 4
    assert "/tmp" not in json.dumps(report)


def test_steps_run_again_give_the_same_bytes(report: dict[str, Any]) -> None:
    gate = next(g for g in report["gates"] if g["name"] == "provenance")
    assert gate["evidence"]["reproduced"]["simplify"] == "same"
    assert set(gate["evidence"]["reproduced"].values()) <= {"same", "not tried"}
    assert set(gate["evidence"]["data"]) == {"calibration", "search", "test"}


def test_nothing_feasible_is_not_ready(run: Result) -> None:
    report = ready(replace(run, best=None))
    assert report["candidate"] is None and report["ready"] is False
    assert set(states(report).values()) == {"not checked"}
    assert verdict_line(report) == "not ready: nothing feasible was found"


def test_the_original_itself_can_be_the_best(run: Result, monkeypatch: pytest.MonkeyPatch) -> None:
    itself = replace(run, best=run.baseline, accuracies={run.baseline.id: run.accuracies[run.best.id]})  # type: ignore[union-attr]
    monkeypatch.setattr("edgewright.flows.gates.load.sustain", calm)
    report = ready(itself, scale=0.2)
    assert "the original itself" in reason(report, "speed") and "source" in reason(report, "provenance")
    assert "failed" not in states(report).values()


def test_what_needs_the_machine_is_not_checked_elsewhere(run: Result) -> None:
    far = times(1.0, 0.5) | {"latency_ms": Measurement(3.0, "ms", "predicted"),
                             "ram_bytes": Measurement(1e6, "B", "estimated")}  # fmt: skip
    assert run.best is not None
    report = ready(replace(run, target=target("raspberry-pi-5"), best=replace(run.best, metrics=far)), scale=0.3)
    found = states(report)
    for name in ("speed", "memory", "consistency", "load"):
        assert found[name] == "not checked" and "machine" in reason(report, name)
    assert "3 ms is predicted" in reason(report, "speed") and "estimated" in reason(report, "memory")
    assert found["saturation"] == "passed" and found["accuracy"] == "passed"
    assert report["ready"] is False and verdict_line(report).startswith("not ready yet: ")


def heavy(run: Result) -> Result:
    """The candidate with weights so large that sums of two products leave 16 bits."""
    assert run.best is not None
    proto = parse(run.best.model.data)
    for tensor in proto.graph.initializer:
        array = onnx.numpy_helper.to_array(tensor)
        if array.dtype == np.int8 and array.ndim > 1:
            tensor.CopyFrom(onnx.numpy_helper.from_array(np.full_like(array, 127), tensor.name))
    made = from_proto(proto, run.best.model.lineage)
    return replace(run, best=replace(run.best, model=made))


@pytest.mark.parametrize(
    ("name", "state", "word"),
    [("industrial-pc-avx2", "failed", "weight_bits=7"), ("medium", "failed", "class that may hold"),
     ("server-x86-vnni", "passed", "only safe with VNNI"), ("raspberry-pi-4", "passed", "or on Arm")],
)  # fmt: skip
def test_saturation_counts_where_the_target_saturates(run: Result, name: str, state: str, word: str) -> None:
    found = only(replace(heavy(run), target=target(name)), "saturation")
    assert found.state == state and word in found.reason, found.reason
    assert found.evidence["saturated"] > 0 and found.evidence["answers"]["n"] > 0


def changed(run: Result, change: Callable[[onnx.ModelProto], None], **files: bytes) -> Result:
    assert run.best is not None
    proto = parse(run.best.model.data)
    change(proto)
    made = from_proto(proto, run.best.model.lineage)
    model = Model("onnx", made.main, {**made.files, **files}, made.signature, made.lineage)
    return replace(run, best=replace(run.best, model=model))


def custom(proto: onnx.ModelProto) -> None:
    proto.graph.node[0].domain = "my.company"
    proto.opset_import.add(domain="my.company", version=1)


def external(proto: onnx.ModelProto) -> None:
    tensor = proto.graph.initializer[0]
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../elsewhere.bin")


@pytest.mark.parametrize(
    ("change", "files", "word"),
    [(custom, {}, "my.company"), (external, {}, "elsewhere.bin"),
     (lambda p: None, {"helper.py": b"x = 1"}, "helper.py"),
     (lambda p: None, {"weights.bin": b"\x80\x04\x95\x00"}, "a pickle")],
    ids=["custom domain", "data outside", "a script", "a pickle"],
)  # fmt: skip
def test_code_that_is_not_ours(run: Result, change: Any, files: dict[str, bytes], word: str) -> None:
    found = only(changed(run, change, **files), "code")
    assert found.state == "failed" and word in found.reason


def test_a_model_that_no_step_made_has_no_provenance(run: Result) -> None:
    def touch(proto: onnx.ModelProto) -> None:
        proto.producer_name = "somebody"

    assert run.best is not None
    swapped = changed(run, touch)
    assert only(swapped, "provenance").evidence["reproducible"] is None, "not what the store holds"
    orphan = replace(run.best, model=Model("onnx", "model.onnx", run.best.model.files, run.best.model.signature))
    found = only(replace(run, best=orphan), "provenance")
    assert found.state == "failed" and "no step says" in found.reason


def test_a_forgotten_limit_or_split_is_not_guessed(run: Result) -> None:
    assert only(replace(run, constraints=()), "accuracy").state == "not checked"
    assert only(replace(run, accuracies={}), "accuracy").state == "not checked"
    assert run.best is not None
    bare = replace(run, best=replace(run.best, metrics={}))
    assert only(bare, "speed").state == only(bare, "memory").state == "not checked"


def test_gates_whose_time_is_over_say_so(run: Result) -> None:
    ticks = count(step=100)
    report = ready(run, clock=lambda: float(next(ticks)))
    found = states(report)
    assert found["consistency"] == "not checked" and "were over" in reason(report, "consistency")
    assert found["accuracy"] == found["code"] == "passed", "what takes no time is checked all the same"


def test_ctrl_c_leaves_what_was_found(run: Result, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: Any, **__: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr("edgewright.flows.gates.load.sustain", interrupted)
    report = ready(run, scale=0.2)
    found = states(report)
    assert list(found) == list(TITLES) and found["accuracy"] == "passed"
    assert {found[n] for n in ("load", "saturation", "provenance", "supply", "code")} == {"not checked"}
    assert reason(report, "code") == "interrupted" and report["ready"] is False


def test_a_gate_that_cannot_be_held_is_not_checked(run: Result, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any, **__: Any) -> Any:
        raise EngineError("the engine is gone")

    monkeypatch.setattr("edgewright.flows.gates.case.open_session", broken)
    report = ready(run, scale=0.2)
    assert "the engine is gone" in reason(report, "consistency") and states(report)["consistency"] == "not checked"


GATE = {"title": "", "reason": "because", "evidence": {}}


@pytest.mark.parametrize(
    ("states", "ready", "line"),
    [
        (["passed"] * 3, True, "ready: 3 gates passed"),
        (["passed", "not checked"], True, "ready: 1 gate passed, 1 not checked (g1)"),
        (["passed", "not checked"], False, "not ready yet: 1 gate passed, 1 not checked (g1)"),
        (["failed", "passed"], False, "not ready: g0 failed: because; 1 gate passed"),
        (["failed", "failed", "not checked"], False, "not ready: g0 failed (and g1): because; 0 gates passed, "
                                                     "1 not checked (g2)"),
    ],
)  # fmt: skip
def test_the_verdict_in_one_line(states: list[str], ready: bool, line: str) -> None:
    gates = [{"name": f"g{i}", "state": state, **GATE} for i, state in enumerate(states)]
    assert verdict_line({"candidate": "c", "ready": ready, "gates": gates}) == line


def test_every_title_has_a_gate() -> None:
    assert set(GATES) >= set(TITLES) >= REQUIRED
