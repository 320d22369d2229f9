"""What comes into a session is checked, also when the call before was right."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from onnx import TensorProto as T
from onnx import helper, numpy_helper

from edgewright.core.errors import EngineError, InputError
from edgewright.engines import open_session
from edgewright.engines.session import answer_within
from edgewright.formats.onnx import from_proto
from edgewright.testing.build import Build

ONE = np.ones((), np.float32)
ROWS = np.ones((2, 3), np.float32)


def scaled_rows():
    build = Build()
    x, y = build.input("x", []), build.input("y", ["n", 3])
    build.output(build.node("Mul", x, y), ["n", 3])
    return build.model()


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_other_sizes_scalars_and_strided_memory_are_taken_in_any_order(engine: str):
    with open_session(scaled_rows(), engine) as session:
        for x in (ONE, np.float32(2), 2 * ONE, ONE):
            for y in (ROWS, np.arange(3, dtype=np.float32)[None], np.arange(6, dtype=np.float32).reshape(3, 2).T, ROWS):
                (out,) = session.infer({"x": x, "y": y}).values()
                np.testing.assert_array_equal(out, x * y)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"x": ONE}, "the model takes"),
        ({"x": ONE, "z": ROWS}, "the model takes"),
        ({"x": ONE, "y": ROWS, "z": ROWS}, "the model takes"),
        ({}, "the model takes"),
        ({"x": ONE, "y": ROWS.astype(np.float64)}, "must be float32"),
        ({"x": ONE, "y": np.ones((2, 4), np.float32)}, "must have shape"),
        ({"x": ONE, "y": np.ones(3, np.float32)}, "must have shape"),
    ],
)
def test_a_wrong_call_is_refused_before_and_after_a_right_one(wrong: dict[str, Any], says: str):
    with open_session(scaled_rows()) as session:
        for _ in range(2):
            with pytest.raises(InputError, match=says):
                session.infer(wrong)
            session.infer({"x": ONE, "y": ROWS})


def sums(*axes: str):
    """The sum of as many inputs, which would broadcast."""
    build = Build()
    names = [build.input(name, [axis, 3]) for name, axis in zip("xyz", axes, strict=False)]
    total = names[0]
    for name in names[1:]:
        total = build.node("Add", total, name)
    build.output(total, None)
    return build.model()


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_inputs_of_one_symbol_have_as_many_rows_as_each_other(engine: str):
    one, two = ROWS[:1], ROWS
    with open_session(sums("n", "m", "n"), engine) as session:
        for _ in range(2):  # also when the call before was right
            (out,) = session.infer({"x": two, "y": one, "z": two}).values()
            np.testing.assert_array_equal(out, 3 * two)
            with pytest.raises(InputError, match=r"'x' and 'z' must have as many rows .*\('n'\), got 2 and 1"):
                session.infer({"x": two, "y": one, "z": one})
        (out,) = session.infer({"x": one, "y": two, "z": one}).values()
        assert len(out) == 2


def endless():
    """A loop of a million million turns: nothing in the graph is wrong."""
    turns = helper.make_node("Add", ["v", "one"], ["more"])
    body = helper.make_graph(
        [helper.make_node("Identity", ["on"], ["still"]), turns],
        "body",
        [
            helper.make_tensor_value_info("i", T.INT64, []),
            helper.make_tensor_value_info("on", T.BOOL, []),
            helper.make_tensor_value_info("v", T.FLOAT, [1, 4]),
        ],
        [helper.make_tensor_value_info("still", T.BOOL, []), helper.make_tensor_value_info("more", T.FLOAT, [1, 4])],
        [numpy_helper.from_array(np.ones((1, 4), np.float32), "one")],
    )
    graph = helper.make_graph(
        [helper.make_node("Loop", ["turns", "yes", "x"], ["y"], body=body)],
        "endless",
        [helper.make_tensor_value_info("x", T.FLOAT, [1, 4])],
        [helper.make_tensor_value_info("y", T.FLOAT, [1, 4])],
        [numpy_helper.from_array(np.int64(10**12), "turns"), numpy_helper.from_array(np.array(True), "yes")],
    )
    return from_proto(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9))


def test_a_model_that_never_answers_is_interrupted():
    with open_session(endless()) as session, pytest.raises(EngineError, match=r"did not answer one request within"):
        answer_within(session, {"x": np.ones((1, 4), np.float32)}, 0.2)


def test_a_model_that_fails_in_time_says_its_own_reason():
    with open_session(scaled_rows()) as session:
        with pytest.raises(InputError, match="must be float32"):
            answer_within(session, {"x": ONE, "y": ROWS.astype(np.float64)}, 60.0)
        assert answer_within(session, {"x": ONE, "y": ROWS}, 60.0)
