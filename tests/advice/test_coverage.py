"""Coverage: shares and reasons for known graphs."""

from __future__ import annotations

import numpy as np
import pytest

from edgewright.advice.coverage import ENGINES, NUMBER_TYPES, Coverage, coverage
from edgewright.core.model import Model
from edgewright.testing.build import Build
from edgewright.testing.zoo import conv, head, linear, zoo


def one(model: Model, engine: str, number_type: str, isa: frozenset[str] | None = None) -> Coverage:
    return next(c for c in coverage(model, isa) if (c.engine, c.number_type) == (engine, number_type))


def test_there_is_an_answer_for_every_engine_and_type() -> None:
    assert [(c.engine, c.number_type) for c in coverage(zoo()["mlp"]())] == [
        (e, t) for e in ENGINES for t in NUMBER_TYPES
    ]


SHARES = {
    # model, engine, type: (share of MACs, operators left out with their reason's beginning)
    ("residual", "onnxruntime", "fp32"): (1, {}),
    ("residual", "onnxruntime", "int8_static"): (1, {}),
    ("residual", "openvino", "int8_static"): (1, {}),
    ("residual", "onnxruntime", "bf16"): (0, {"Conv": "the CPU provider has no bf16", "Gemm": "the CPU provider"}),
    ("residual", "openvino", "int8_dynamic"): (0.0002, {"Conv": "ConvInteger is converted"}),
    ("transposed", "onnxruntime", "int8_static"): (0.8025, {"ConvTranspose": "no QDQ rule for transposed"}),
    ("lstm", "onnxruntime", "int8_static"): (0.0064, {"LSTM": "no QDQ rule for recurrent"}),
    ("lstm", "onnxruntime", "int8_dynamic"): (1, {}),
    ("gru", "onnxruntime", "int8_dynamic"): (0.0085, {"GRU": "only LSTM has"}),
    ("attention", "onnxruntime", "int8_static"): (1, {}),
    ("attention", "openvino", "int8_static"): (0.9412, {"MatMul": "a product of two activations runs"}),
    ("attention", "onnxruntime", "int4_weights"): (0.9412, {"MatMul": "a product of two activations has no"}),
    ("mlp", "onnxruntime", "int4_weights"): (1, {}),
    ("residual", "onnxruntime", "int4_weights"): (0.0002, {"Conv": "convolutions have no 4-bit"}),
}


@pytest.mark.parametrize(("name", "engine", "number_type"), SHARES)
def test_shares(name: str, engine: str, number_type: str) -> None:
    share, reasons = SHARES[name, engine, number_type]
    found = one(zoo()[name](), engine, number_type)
    assert found.macs_share == pytest.approx(share, abs=5e-4)
    told = {entry.op_type: entry.reason for entry in found.left_out if entry.macs_share > 0}
    assert told.keys() == reasons.keys()
    assert all(told[op].startswith(start) for op, start in reasons.items())
    assert found.source


def test_shares_of_what_is_in_and_what_is_out_make_a_whole() -> None:
    for found in coverage(zoo()["squeeze_excite"]()):
        assert found.macs_share + sum(entry.macs_share for entry in found.left_out) == pytest.approx(1)
        assert not found.covered & {name for entry in found.left_out for name in entry.names}


def test_a_type_needs_the_cpu_to_have_it() -> None:
    model = zoo()["residual"]()
    assert one(model, "openvino", "bf16").macs_share == 1
    assert one(model, "openvino", "bf16", frozenset({"avx512_bf16"})).macs_share == 1
    without = one(model, "openvino", "bf16", frozenset({"avx2"}))
    assert without.macs_share == 0
    assert "the CPU has none of avx512_bf16, amx_bf16" in without.left_out[0].reason


def test_joiners_follow_what_comes_before_them() -> None:
    b = Build(17)
    x = b.node("Sigmoid", b.input("image", ["batch", 3, 8, 8]))  # reads floats: stays so
    y = b.node("Sigmoid", conv(b, x, 3, 4))  # behind a convolution: integers
    head(b, b.node("Mul", y, y), 4)
    found = one(b.model(), "onnxruntime", "int8_static")
    left = {entry.op_type: entry for entry in found.left_out}
    assert left.keys() == {"Sigmoid"}
    assert len(left["Sigmoid"].names) == 1
    assert left["Sigmoid"].reason.startswith("reads values that are not integers")


def test_what_an_engine_cannot_run_is_left_out_of_every_type() -> None:
    b = Build(17)
    b.output(b.node("Strange", linear(b, b.input("x", [1, 8]), 8, 4), domain="nobody.knows"), [1, 4])
    for found in coverage(b.model()):
        reasons = {entry.op_type: entry.reason for entry in found.left_out}
        expected = "no CPU kernel" if found.engine == "onnxruntime" else "OpenVINO's ONNX front end"
        assert reasons["nobody.knows.Strange"].startswith(expected)


def test_trees_run_in_onnxruntime_alone() -> None:
    b = Build()
    linear_model = {"coefficients": [1.0] * 6, "intercepts": [0.0] * 3, "classlabels_ints": [0, 1, 2]}
    x = b.input("x", ["batch", 2])
    b.output(b.node("LinearClassifier", x, outputs=2, domain="ai.onnx.ml", **linear_model)[1], ["batch", 3])
    assert one(b.model(), "onnxruntime", "fp32").operators_share == 1
    assert one(b.model(), "openvino", "fp32").operators_share == 0


@pytest.mark.parametrize(("zero_point", "share"), [(0, 1.0), (128, 0.0)])
def test_a_quantized_graph_covers_what_really_fuses(zero_point: int, share: float) -> None:
    b = Build(17)

    def pair(x: str, zero: int) -> str:
        held = b.constant(0.05, dtype=np.float32), b.constant(zero, dtype=np.uint8)
        return str(b.node("DequantizeLinear", b.node("QuantizeLinear", x, *held), *held))

    held = b.constant(np.ones((4, 3, 1, 1)), dtype=np.int8), b.constant(0.1, dtype=np.float32)
    x = b.node("Conv", pair(b.input("image", [1, 3, 4, 4]), 128), b.node("DequantizeLinear", *held))
    b.output(pair(b.node("Relu", x), zero_point), [1, 4, 4, 4])
    found = one(b.model(), "onnxruntime", "int8_static")
    assert found.macs_share == share
    if not share:
        assert "do not fuse" in found.left_out[0].reason


@pytest.mark.parametrize(("isa", "share"), [(None, 1.0), ({"neon"}, 1.0), ({"avx2"}, 0.0)])
def test_signed_activations_are_for_arm(isa: set[str] | None, share: float) -> None:
    b = Build(17)

    def pair(x: str) -> str:
        held = b.constant(0.05, dtype=np.float32), b.constant(-128, dtype=np.int8)
        return str(b.node("DequantizeLinear", b.node("QuantizeLinear", x, *held), *held))

    held = b.constant(np.ones((4, 3, 1, 1)), dtype=np.int8), b.constant(0.1, dtype=np.float32)
    x = b.node("Conv", pair(b.input("image", [1, 3, 4, 4])), b.node("DequantizeLinear", *held))
    b.output(pair(x), [1, 4, 4, 4])
    found = one(b.model(), "onnxruntime", "int8_static", None if isa is None else frozenset(isa))
    assert found.macs_share == share
    assert bool(share) or "qdq_repair" in found.left_out[0].reason
