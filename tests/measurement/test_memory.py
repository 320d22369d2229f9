"""Peak memory of a fresh process: what a model adds to the engine."""

from __future__ import annotations

import numpy as np
import pytest

from edgewright.core.errors import EdgewrightError, InputError
from edgewright.core.model import Model
from edgewright.core.samples import drawn_requests
from edgewright.measurement.fresh import Fresh, observe
from edgewright.measurement.memory import measure_memory, peak_memory
from edgewright.measurement.subject import Subject
from edgewright.testing.build import Build

MB = 1_000_000


def product(width: int) -> Model:
    build = Build()
    x = build.input("x", [1, width])
    build.output(build.node("MatMul", x, build.weight(width, width)), [1, width])
    return build.model()


def fresh(peak: int, private: int | None = 1, before: int = 50 * MB) -> Fresh:
    return Fresh(1.0, 1.0, 2.0, 3.0, 0.5, 300.0, before, peak, private, "VmHWM, reset", False, "CPU")


def test_the_figure_is_the_growth_over_the_engine_alone():
    found = peak_memory([fresh(60 * MB, 4 * MB), fresh(61 * MB, 5 * MB), fresh(59 * MB, None)], subject="abc")
    assert (found.value, found.low, found.high) == (10 * MB, 9 * MB, 11 * MB)
    assert (found.unit, found.kind, found.n, found.subject) == ("B", "measured", 3, "abc")
    told = found.conditions
    assert told["total_bytes"] == 60 * MB
    assert told["engine_bytes"] == 50 * MB
    assert told["steady_bytes"] == 4.5 * MB
    assert told["interval"] == "range of 3"
    assert "steady_bytes" not in peak_memory([fresh(60 * MB, None)]).conditions


def test_a_model_with_more_weights_takes_more_memory_by_at_least_its_weights():
    small, large = product(16), product(2048)
    inputs = {"small": drawn_requests(small.signature, 2), "large": drawn_requests(large.signature, 2)}
    found = {
        name: measure_memory({name: Subject(model)}, inputs[name], runs=1)[name]
        for name, model in (("small", small), ("large", large))
    }
    grown = found["large"].value - found["small"].value
    assert grown >= 2048 * 2048 * 4
    assert found["large"].conditions["total_bytes"] > found["large"].conditions["engine_bytes"] > 10 * MB
    assert found["large"].subject == large.digest


def test_files_beside_the_model_and_odd_names_travel():
    import onnx

    build = Build()
    x = build.input("in/put:0", [1, 64])
    build.output(build.node("MatMul", x, build.weight(64, 64)), [1, 64])
    whole = build.model()
    proto = onnx.load_model_from_string(whole.data)
    raw = proto.graph.initializer[0].raw_data
    tensor = proto.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    for key, value in (("location", "weights/w.bin"), ("offset", "0"), ("length", str(len(raw)))):
        entry = tensor.external_data.add()
        entry.key, entry.value = key, value
    files = {"model.onnx": proto.SerializeToString(), "weights/w.bin": raw}
    split = Model("onnx", "model.onnx", files, whole.signature)
    seen = observe({"split": Subject(split)}, [{"in/put:0": np.ones((1, 64), np.float32)}], runs=1)["split"]
    assert seen[0].provider == "CPUExecutionProvider"
    assert seen[0].peak_bytes >= seen[0].before_bytes


def test_a_model_that_does_not_open_is_an_error_of_its_own():
    good = product(16)
    broken = Model("onnx", "model.onnx", {"model.onnx": b"not a model"}, good.signature)
    with pytest.raises(EdgewrightError, match="cannot open"):
        observe({"broken": Subject(broken)}, drawn_requests(good.signature, 1), runs=1)


@pytest.mark.parametrize(("subjects", "inputs"), [({}, [{"x": np.zeros(1)}]), ({"a": Subject(product(2))}, [])])
def test_nothing_to_measure_is_refused(subjects: dict[str, Subject], inputs: list[dict[str, np.ndarray]]):
    with pytest.raises(InputError, match="needs a model and an input"):
        observe(subjects, inputs)
