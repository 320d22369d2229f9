"""The micro-benchmark: its hand-written models are right, its results are remembered, and never trusted blindly."""

import json
from dataclasses import replace

import numpy as np
import onnx
import onnxruntime
import pytest

from edgewright.targets import probe
from edgewright.targets.host import detect
from edgewright.targets.tiny import FLOAT, INT8, INT32, UINT8, chain_model, matmul_model


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


FOUND = {"fp32": 2e10, "int8": 6e10, "memory_bandwidth": 9e9, "cache_bandwidth": 4e10, "operator_overhead": 1e-6}


@pytest.mark.parametrize(
    ("model", "x", "y"),
    [
        (chain_model(3), np.full(16, 2, np.float32), np.full(16, -2, np.float32)),
        (chain_model(1), np.full(16, 2, np.float32), np.full(16, -2, np.float32)),
        (matmul_model("MatMul", FLOAT, FLOAT, FLOAT, 300), np.ones((300, 300), np.float32), np.full((300, 300), 300)),
        (matmul_model("MatMulInteger", UINT8, INT8, INT32, 13), np.full((13, 13), 2, np.uint8), np.full((13, 13), 26)),
    ],
)  # fmt: skip
def test_hand_written_models_are_valid_and_compute_what_they_say(model, x, y):
    onnx.checker.check_model(onnx.load_from_string(model), full_check=True)
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    np.testing.assert_array_equal(session.run(None, {"x": x})[0], y)


def test_measuring_gives_positive_figures_and_is_done_once(cache, monkeypatch):
    monkeypatch.setattr(probe, "_SECONDS", 0.01)
    target = detect()
    assert probe.remembered(target) is None
    found = probe.measured(target)
    assert set(found) == set(FOUND)
    assert all(value > 0 for value in found.values())
    monkeypatch.setattr(probe, "run", lambda target: pytest.fail("measured twice"))
    assert probe.measured(target) == found == probe.remembered(target)
    assert probe.cache_file(target).is_relative_to(cache)


def test_measuring_again_replaces_what_was_remembered(monkeypatch):
    target = detect()
    monkeypatch.setattr(probe, "run", lambda target: FOUND)
    probe.measured(target)
    monkeypatch.setattr(probe, "run", lambda target: FOUND | {"fp32": 3e10})
    assert probe.measured(target)["fp32"] == 2e10
    assert probe.measured(target, again=True)["fp32"] == 3e10
    assert probe.remembered(target)["fp32"] == 3e10


def test_applied_figures_say_that_they_were_measured():
    found = probe.applied(detect(), FOUND)
    for name in ("fp32", "int8"):
        assert (found.compute[name].value, found.compute[name].kind) == (FOUND[name], "measured")
    assert found.memory_bandwidth.kind == found.cache_bandwidth.kind == found.operator_overhead.kind == "measured"
    others = {name: figure.kind for name, figure in found.compute.items() if name not in ("fp32", "int8")}
    assert set(others.values()) <= {"derived"}


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", "5", json.dumps(FOUND | {"fp32": -1}), json.dumps(FOUND | {"fp32": "fast"}), "[" * 3000,
     json.dumps({"fp32": 1.0}), json.dumps(FOUND).replace("20000000000.0", "NaN"), json.dumps(FOUND | {"more": 1}),
     json.dumps(FOUND | {"fp32": True}), json.dumps(FOUND) + " " * 9000],
)  # fmt: skip
def test_a_damaged_memory_is_ignored(text):
    target = detect()
    path = probe.cache_file(target)
    path.parent.mkdir(parents=True)
    path.write_text(text)
    assert probe.remembered(target) is None


def test_a_cache_that_cannot_be_written_costs_nothing_else(cache, monkeypatch):
    monkeypatch.setattr(probe, "run", lambda target: FOUND)
    cache.write_text("a file in the way")
    assert probe.measured(detect()) == FOUND


def test_a_user_without_a_home_measures_without_a_memory(monkeypatch):
    def nowhere():
        raise RuntimeError("no home")

    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(probe.Path, "home", nowhere)
    monkeypatch.setattr(probe, "run", lambda target: FOUND)
    assert probe.measured(detect()) == FOUND
    assert probe.remembered(detect()) is None


def test_another_machine_has_its_own_memory():
    one = detect()
    assert probe.cache_file(one) == probe.cache_file(one)
    assert probe.cache_file(replace(one, title="another")) != probe.cache_file(one)
