"""Everything of a few finalists at once: what is there, what is missing and why."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgewright.core.errors import EdgewrightError, InputError
from edgewright.core.model import Model
from edgewright.datasets import dataset
from edgewright.measurement import (
    METRICS,
    Effort,
    Plan,
    Subject,
    drawn_requests,
    measure_all,
    requests,
)
from edgewright.testing.build import Build

BRIEF = Effort(Plan(budget_s=0.1), openings=1, sustained_s=0.05, throughput_s=0.1, energy_s=0.2, fresh_runs=1)


def relu(width: int = 8, batch: int | str = 1) -> Model:
    build = Build()
    x = build.input("x", [batch, width])
    build.output(build.node("Relu", x), [batch, width])
    return build.model()


def broken(model: Model) -> Subject:
    return Subject(Model("onnx", "m.onnx", {"m.onnx": b"nothing"}, model.signature))


def test_every_metric_has_a_figure_or_a_reason():
    model = relu()
    subjects = {"base": Subject(model), "other": Subject(model, "openvino"), "broken": broken(model)}
    found = measure_all(subjects, drawn_requests(model.signature, 2), BRIEF)
    assert list(found) == list(subjects)
    for one in found.values():
        assert one.metrics.keys() | one.missing.keys() == METRICS.keys()
        assert not one.metrics.keys() & one.missing.keys()
    for name in ("base", "other"):
        metrics = found[name].metrics
        assert METRICS.keys() - metrics.keys() <= {"energy_mj"}
        assert all(one.unit == METRICS[metric] for metric, one in metrics.items())
        assert all(one.subject == model.digest and one.target == "host" for one in metrics.values())
        assert metrics["latency_ms"].conditions["engine"].startswith(subjects[name].engine)
        assert {one.kind for metric, one in metrics.items() if metric != "energy_mj"} == {"measured"}
        assert found[name].latency is not None
        assert found[name].sustained is not None
    assert set(found["broken"].metrics) == {"size_bytes", "download_bytes"}
    assert "cannot open" in found["broken"].missing["latency_ms"]


def test_a_baseline_that_does_not_open_is_an_error():
    model = relu()
    with pytest.raises(EdgewrightError, match="cannot open"):
        measure_all({"broken": broken(model), "good": Subject(model)}, drawn_requests(model.signature, 1), BRIEF)


def test_a_stop_leaves_what_was_measured_and_says_what_was_not():
    model = relu()
    asked = iter([True, True])
    found = measure_all(
        {"a": Subject(model)}, drawn_requests(model.signature, 1), BRIEF, checkpoint=lambda: next(asked, False)
    )["a"]  # fmt: skip
    assert {"size_bytes", "latency_ms"} <= found.metrics.keys()
    assert found.missing["cold_start_ms"] == "stopped before it was measured"


@pytest.mark.parametrize(("subjects", "inputs"), [({}, [{}]), ({"a": Subject(relu())}, [])])
def test_nothing_to_measure_is_refused(subjects: dict[str, Subject], inputs: list[dict[str, np.ndarray]]):
    with pytest.raises(InputError, match=r"nothing to measure|no input"):
        measure_all(subjects, inputs, BRIEF)


@pytest.mark.parametrize(("seconds", "subjects"), [(0.2, 1), (5, 3), (30, 2), (600, 4)])
def test_effort_keeps_its_parts_within_the_time(seconds: float, subjects: int):
    effort = Effort.within(seconds, subjects)
    timed = effort.latency.budget_s + subjects * (effort.sustained_s + effort.throughput_s + effort.energy_s)
    assert timed <= seconds
    assert 1 <= effort.fresh_runs <= 9


@pytest.mark.parametrize(("batch", "rows"), [(1, 1), ("n", 1), (4, 4)])
def test_requests_come_from_samples_as_the_model_takes_them(batch: int | str, rows: int):
    arrays = {"x": np.arange(160, dtype=np.float32).reshape(20, 8)}
    signature = relu(8, batch).signature
    found = requests(dataset(arrays).bind(signature).splits().test, signature, 4)
    assert found
    assert all(one["x"].shape == (rows, 8) for one in found)
    assert len({one["x"].tobytes() for one in found}) == len(found)


def test_too_few_samples_for_one_request_are_refused():
    arrays = {"x": np.arange(160, dtype=np.float32).reshape(20, 8)}
    signature = relu(8, 64).signature
    with pytest.raises(InputError, match="at least 64"):
        requests(dataset(arrays).bind(signature).splits().test, signature)


def test_the_documented_example_runs():
    page = Path(__file__).parents[2] / "docs/explanation/measurement.md"
    block = page.read_text().partition("## From Python\n")[2].lstrip("\n").partition("\n`measure_latency`")[0]
    code = "\n".join(line.removeprefix("    ") for line in block.splitlines()).replace("within(60, 2)", "within(1, 2)")
    model = relu(8, "n")
    samples = dataset({"x": np.arange(160, dtype=np.float32).reshape(20, 8)}).bind(model.signature).splits().test
    scope: dict[str, Any] = {"old": model, "new": relu(8, 1), "samples": samples}
    exec(compile(code, str(page), "exec"), scope)  # our own page
    assert scope["found"]["new"].metrics["latency_ms"].kind == "measured"
