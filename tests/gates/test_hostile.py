"""Hostile inputs, asked in a child process."""

from __future__ import annotations

import numpy as np
import pytest

from edgewright.compression.contract import Context
from edgewright.compression.passes import make_pass
from edgewright.core.model import Model
from edgewright.measurement.hostile import hostile_requests, provoke
from edgewright.measurement.subject import Subject
from edgewright.testing.build import Build, Drawn


def plain() -> Model:
    b = Build(17)
    x = b.input("x", ["batch", 4])
    b.output(b.node("Gemm", x, b.constant(np.eye(4), "w", np.float32)), ["batch", 4])
    return b.model()


def lookup() -> Model:
    b = Build(17)
    ids = b.input("ids", ["batch", 2], "int64")
    b.output(b.node("Gather", b.weight(5, 3), ids, axis=0), ["batch", 2, 3])
    return b.model()


def test_requests_are_made_of_a_good_one() -> None:
    good = {"x": np.ones((1, 4), np.float32), "half": np.ones((1, 2), np.float16), "text": np.array(["a"], object)}
    made = hostile_requests(good, {"x": 2.0, "half": 3e4})
    assert list(made) == ["one NaN", "NaN throughout", "one infinity", "minus infinity throughout",
                          "the largest number of the type", "a thousand times the largest seen"]  # fmt: skip
    assert np.isnan(made["one NaN"]["x"]).sum() == 1 and np.isnan(made["NaN throughout"]["half"]).all()
    assert made["a thousand times the largest seen"]["x"].max() == 2000.0
    assert np.isfinite(made["a thousand times the largest seen"]["half"]).all(), "still within its type"
    assert all(arrays["text"][0] == "a" and arrays["x"].dtype == np.float32 for arrays in made.values())
    assert np.all(good["x"] == 1), "the good one stays as it is"
    whole = hostile_requests({"ids": np.ones((1, 2), np.int64)}, {})
    assert list(whole) == ["the largest whole number", "the smallest whole number"]
    assert hostile_requests({"text": np.array(["a"], object)}, {}) == {}


def test_a_quantized_model_answers_nan_with_a_number() -> None:
    model = plain()
    small = make_pass({"pass": "int8_static"})(model, Context(Drawn(model, 8)))
    assert small.status == "applied"
    output = model.signature.outputs[0].name
    requests = hostile_requests({"x": np.ones((1, 4), np.float32)}, {"x": 1.0})
    found = provoke({"original": Subject(model), "candidate": Subject(small.model)}, requests, output)
    assert found["original"]["one NaN"].state == "NaN"
    assert found["candidate"]["one NaN"].state == "finite" and found["candidate"]["one NaN"].answer is not None
    assert found["original"]["a thousand times the largest seen"].state == "finite"


def test_an_index_out_of_range_is_an_error_told() -> None:
    model = lookup()
    requests = hostile_requests({"ids": np.ones((1, 2), np.int64)}, {})
    found = provoke({"candidate": Subject(model)}, requests, model.signature.outputs[0].name)["candidate"]
    assert {o.state for o in found.values()} == {"error"}
    assert "Gather" in found["the largest whole number"].message


@pytest.mark.parametrize("names", [("a",), ("a", "b")])
def test_whoever_never_answers_is_dead(names: tuple[str, ...]) -> None:
    model = plain()
    requests = {"any": {"x": np.ones((1, 4), np.float32)}}
    found = provoke(dict.fromkeys(names, Subject(model)), requests, model.signature.outputs[0].name, timeout_s=0.01)
    assert {o.state for side in found.values() for o in side.values()} == {"died"}
    assert "0.01 s" in found["a"]["any"].message
