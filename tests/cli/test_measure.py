"""``edgewright measure`` from its arguments to its table."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgewright.cli import main
from edgewright.cli._table import aligned
from edgewright.core.session import EngineOptions
from edgewright.formats import save
from edgewright.testing.build import Build


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A model, a candidate of it and data."""
    build = Build()
    x = build.input("x", ["n", 4])
    build.output(build.node("Relu", build.node("MatMul", x, build.weight(4, 3))), ["n", 3])
    model = build.model()
    save(model, tmp_path / "plain")
    save(model, tmp_path / "candidates/one")
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((60, 4)).astype(np.float32)
    np.savez(tmp_path / "data.npz", x=rows, labels=rng.integers(0, 3, 60))
    describe(tmp_path, digest=model.digest)
    return tmp_path


def describe(place: Path, **changes: Any) -> None:
    options = EngineOptions(graph_level="extended").to_json()
    value = {"id": "one", "recipe": [], "engine": "onnxruntime", "engine_options": options, "main": "model.onnx"}
    (place / "candidates/one/candidate.json").write_text(json.dumps(value | changes))


def call(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    status = main(["measure", *map(str, arguments)])
    out, err = capsys.readouterr()
    return status, out, err


def test_a_table_of_models_side_by_side(place: Path, capsys: pytest.CaptureFixture[str]):
    model = place / "plain/model.onnx"
    status, out, err = call(
        capsys, model, place / "candidates/one", "--data", place / "data.npz", "--budget", "1s", "--profile"
    )
    assert (status, err) == (0, "")
    lines = out.splitlines()
    for label in ("latency p50", "  of the first", "latency p99", "throughput", "cold start", "memory, peak", "size"):
        assert any(line.startswith(label) for line in lines), label
    assert any(line.startswith("top1") for line in lines)
    assert "one interleaved run" in out
    assert "MatMul" in out


def test_json_stands_alone_and_names_engines_and_kinds(place: Path, capsys: pytest.CaptureFixture[str]):
    model = place / "plain/model.onnx"
    status, out, _ = call(
        capsys, model, place / "candidates/one", model, "--data", place / "data.npz", "--budget", "1s", "--json"
    )
    assert status == 0
    told = json.loads(out)
    assert told["baseline"] == str(model)
    assert [one["name"] for one in told["models"]] == [str(model), str(place / "candidates/one"), f"{model} (2)"]
    candidate = told["models"][1]
    assert candidate["engine_options"]["graph_level"] == "extended"
    for one in candidate["metrics"].values():
        assert {"value", "low", "high", "n", "unit", "kind"} <= one.keys()
    assert candidate["metrics"]["accuracy"]["kind"] == "measured"
    assert candidate["latency"]["ratio"]["value"] > 0
    assert told["environment"]["libraries"]["onnxruntime"]


def test_without_data_noise_is_used_and_said(place: Path, capsys: pytest.CaptureFixture[str]):
    status, out, _ = call(capsys, place / "plain", "--budget", "0.5s")
    assert status == 0
    assert "seeded noise" in out


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"digest": "0" * 64}, "has changed since"),
        ({"engine": "unheard"}, "names the engine 'unheard'"),
        ({"main": "../plain/model.onnx"}, "could leave its folder"),
        ({"main": 3}, "does not name its model file"),
        ({"engine_options": {"threads": True}}, "wrong kind"),
        ({"engine_options": {"threads": 0}}, "wrong kind"),
        ({"engine_options": {"warp": 9}}, "not known"),
        ({"engine_options": {"graph_level": "most"}}, "not known"),
    ],
)
def test_a_candidate_that_is_not_what_it_says_is_refused(
    place: Path, capsys: pytest.CaptureFixture[str], changes: dict[str, Any], says: str
):
    describe(place, **changes)
    status, out, err = call(capsys, place / "candidates/one", "--budget", "0.5s")
    assert (status, out) == (2, "")
    assert says in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["nowhere.onnx"], "no model file at"),
        (["{}/plain/model.onnx", "--target", "raspberry-pi-5"], "for a prediction"),
        (["{}/plain/model.onnx", "--target", "no-such"], "no target is named"),
        (["{}/plain/model.onnx", "--engine", "none"], "no engine is named"),
        (["{}/plain/model.onnx", "--threads", "0"], "from 1 to 1024"),
        (["{}/plain/model.onnx", "--data", "{}/none.npz"], "no data at"),
        (["{}/candidates"], "holds no model"),
        (["{}/plain/model.onnx"] * 33, "at most 32"),
    ],
)
def test_unusable_arguments_get_one_line(
    place: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], says: str
):
    status, out, err = call(capsys, *(a.format(place) for a in arguments))
    assert (status, out) == (2, "")
    assert says in err
    assert err.count("\n") == 1


def test_columns_line_up():
    assert aligned([["", "a"], ["row", "12"]]) == "      a\nrow  12"
