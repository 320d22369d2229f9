"""How far two models lie apart is told in numbers, and a NaN or a shape that differs is no agreement at all."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from onnx import TensorProto as T
from onnx import helper, numpy_helper

from edgewright.core.errors import EngineError
from edgewright.core.model import Model, Signature, TensorSpec
from edgewright.engines.agreement import agreement, sample_inputs
from edgewright.formats.onnx import from_proto


def _model(op: str, held: float = 0.0, output: str = "y", kind: int = T.FLOAT) -> Model:
    inputs = ["x", "w"] if op in ("Add", "Div", "Greater") else ["x"]
    nodes = [helper.make_node(op, inputs, [output], **({"axis": 1} if op == "Flatten" else {}))]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", T.FLOAT, ["n", 2, 2])],
        [helper.make_tensor_value_info(output, kind, None)],
        [numpy_helper.from_array(np.float32(held), "w")],
    )
    return from_proto(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9))


X = [{"x": np.array([[[1.0, -2.0], [3.0, 4.0]]], np.float32)}]


@pytest.mark.parametrize(
    ("before", "after", "largest", "decibel"),
    [
        (_model("Identity"), _model("Identity"), 0.0, math.inf),
        (_model("Identity"), _model("Add", 0.5), 0.5, 10 * math.log10(30 / 1.0)),
        (_model("Identity"), _model("Flatten"), math.inf, -math.inf),
        (_model("Identity"), _model("Div", 0.0), math.inf, -math.inf),
        (_model("Div", 0.0), _model("Div", 0.0), 0.0, math.inf),
    ],
    ids=["the same", "half a unit off", "another shape", "no longer finite", "never was finite"],
)
def test_float_answers(before: Model, after: Model, largest: float, decibel: float) -> None:
    found = agreement(before, after, X)
    assert (found.samples, found.max_abs_error) == (1, largest)
    assert found.sqnr_db == pytest.approx(decibel)
    assert json.loads(json.dumps(found.to_json(), allow_nan=False))["identical"] is (decibel == math.inf)


def test_whole_answers_are_counted() -> None:
    found = agreement(_model("Greater", 0.0, kind=T.BOOL), _model("Greater", 3.5, kind=T.BOOL), X)
    assert found.mismatched == 0.5 and found.sqnr_db == math.inf and not found.to_json()["identical"]


def test_other_names_cannot_be_compared() -> None:
    with pytest.raises(EngineError, match="cannot be compared"):
        agreement(_model("Identity"), _model("Identity", output="z"), X)


def test_samples_fit_their_signature_and_their_seed() -> None:
    kinds = ["float32", "float16", "int64", "uint8", "bool", "str"]
    signature = Signature(tuple(TensorSpec(kind, kind, ("n", None, 3)) for kind in kinds), ())
    first, second = sample_inputs(signature, 2, seed=3), sample_inputs(signature, 2, seed=3)
    for kind in kinds:
        array = first[0][kind]
        assert array.shape == (1, 1, 3) and (array.dtype == object if kind == "str" else array.dtype.name == kind)
        assert (array == second[0][kind]).all()
    assert not np.array_equal(first[0]["float32"], first[1]["float32"])
