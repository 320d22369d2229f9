"""What comes into a session is checked, also when the call before was right."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edgewright.core.errors import InputError
from edgewright.engines import open_session
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
