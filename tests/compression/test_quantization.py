"""Affine arithmetic, calibration in a stream, and the fusions that make INT8 fast."""

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgewright.compression.contract import Context
from edgewright.compression.passes.fuse import Fuse
from edgewright.compression.passes.int8_static import Int8Static
from edgewright.compression.passes.mixed_precision import MixedPrecision
from edgewright.compression.passes.simplify import Simplify
from edgewright.compression.quantization.calibration import BINS, choose_range, observe
from edgewright.compression.quantization.scheme import affine, quantize_weight, restore_weight, weight_scales
from edgewright.core.session import EngineOptions
from edgewright.engines import open_session
from edgewright.testing.graphs import Build, Drawn, zoo

bounded = settings(max_examples=60, deadline=None, derandomize=True, database=None)


def first_input(model):
    return model.signature.inputs[0].name


finite = st.floats(-1e6, 1e6, allow_nan=False, width=32)


def prepared(name, samples=32):
    """A zoo model simplified and fused, and a context to quantize it in."""
    model = zoo()[name]()
    context = Context(Drawn(model, samples))
    return Fuse()(Simplify()(model, context).model, context).model, context


def runtime_operators(model, tmp_path):
    """The operators ONNX Runtime really runs, after its own fusions."""
    path = tmp_path / "optimized.onnx"
    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.optimized_model_filepath = str(path)
    ort.InferenceSession(model.data, options, providers=["CPUExecutionProvider"])
    return [node.op_type for node in onnx.load(path).graph.node]


@bounded
@given(finite, finite, st.sampled_from(["u8", "s8", "s8_symmetric"]))
def test_zero_is_exact_and_the_range_is_held_within_half_a_step(a, b, activations):
    low, high = min(a, b), max(a, b)
    chosen = affine(low, high, activations)
    assert chosen.round_trip(np.zeros(1))[0] == 0
    points = np.linspace(min(low, 0), max(high, 0), 33)
    slack = 1e-6 * max(abs(low), abs(high), 1)
    # The zero point is rounded, so one end may lie up to half a step outside the integers.
    assert np.abs(chosen.round_trip(points) - points).max() <= float(chosen.scale) + slack


def test_signed_activations_keep_a_relu_inside_the_clipping():
    assert affine(0, 4, "s8").zero_point == -128
    assert affine(-1, 4, "s8").zero_point == 0
    assert affine(0, 4, "s8_symmetric").zero_point == 0


@bounded
@given(st.integers(0, 2**16), st.sampled_from([None, 0, 1]), st.sampled_from([7, 8]))
def test_weights_come_back_within_half_a_step(seed, axis, bits):
    weight = np.random.default_rng(seed).standard_normal((4, 3, 2)).astype(np.float32)
    scales = weight_scales(weight, axis, bits)
    integers = quantize_weight(weight, scales, axis, bits)
    assert np.abs(integers).max() <= 2 ** (bits - 1) - 1
    steps = scales if axis is None else scales.reshape([-1 if i == axis else 1 for i in range(3)])
    assert (np.abs(restore_weight(integers, scales, axis) - weight) <= 0.5001 * steps).all()


def test_a_dead_channel_with_a_live_bias_does_not_overflow_int32():
    weight = np.zeros((2, 3), np.float32)
    weight[1] = 1e-12
    bias = np.array([5.0, 5.0])
    scales = weight_scales(weight, 0, 8, bias, input_scale=1e-3)
    assert (np.abs(bias) / (scales * 1e-3) < 2**31).all()


def test_calibration_reads_a_stream_and_keeps_no_more_for_more_samples():
    model, _ = prepared("residual")
    kept = []
    for count in (8, 64):
        seen = observe(model, {first_input(model): 1}, Context(Drawn(model, count)))[first_input(model)]
        kept.append((seen.counts.nbytes, seen.total.nbytes))
        assert seen.counts.sum() > 0 and seen.counts.size == BINS
    assert kept[0] == kept[1]


def test_statistics_of_a_stream_are_those_of_the_whole():
    model, _ = prepared("residual")
    samples = Drawn(model, 48)
    seen = observe(model, {first_input(model): 1}, Context(samples))[first_input(model)]
    whole = np.concatenate([batch[first_input(model)] for batch in samples.batches(48)])
    assert (seen.low, seen.high) == (whole.min(), whole.max())
    np.testing.assert_allclose(seen.mean, whole.mean(axis=(0, 2, 3)), atol=1e-6)
    assert seen.counts.sum() == whole.size


@pytest.mark.parametrize("method", ["minmax", "percentile", "entropy", "mse"])
def test_a_chosen_range_lies_within_what_was_seen(method):
    model, context = prepared("residual")
    for seen in observe(model, {first_input(model): None}, context).values():
        low, high = choose_range(seen, method, "u8")
        assert seen.low <= low <= high <= seen.high


def test_clipping_an_outlier_costs_less_than_keeping_it():
    model, _ = prepared("residual")
    name = first_input(model)
    values = np.random.default_rng(0).standard_normal((256, *model.signature.inputs[0].shape[1:]))
    values.flat[0] = 1000.0
    seen = observe(model, {name: None}, Context(Held(name, values.astype(np.float32))))[name]
    assert choose_range(seen, "minmax", "u8")[1] == 1000.0
    assert choose_range(seen, "percentile", "u8")[1] < 100.0


def test_samples_that_are_not_finite_are_refused_by_name():
    model, _ = prepared("residual")
    values = np.full((4, *model.signature.inputs[0].shape[1:]), np.nan, np.float32)
    result = Int8Static()(model, Context(Held(first_input(model), values)))
    assert result.status == "refused" and "not finite" in result.reason


@pytest.mark.parametrize("graph, floats", [("residual", {"Conv"}), ("depthwise", {"Conv"}), ("mlp", {"Gemm"})])
def test_every_kernel_runs_on_integers(graph, floats, tmp_path):
    model, context = prepared(graph)
    result = Int8Static()(model, context)
    assert result.status == "applied", result.reason
    ran = runtime_operators(result.model, tmp_path)
    assert not floats & set(ran), ran
    integer = {"QLinearConv", "QGemm", "QLinearMatMul", "MatMulIntegerToFloat"}
    assert sum(op in integer for op in ran) == result.facts["kernels"], ran


def test_sums_between_convolutions_run_on_integers(tmp_path):
    model, context = prepared("residual")
    ran = runtime_operators(Int8Static()(model, context).model, tmp_path)
    assert "QLinearAdd" in ran and "Add" not in ran


@pytest.mark.parametrize("activations", ["u8", "s8"])
def test_a_relu_falls_into_the_clipping(activations, tmp_path):
    model, context = prepared("residual")
    ran = runtime_operators(Int8Static(activations=activations)(model, context).model, tmp_path)
    assert "Relu" not in ran


@pytest.mark.parametrize("bits, most", [(7, 63), (8, 127)])
def test_weights_stay_within_their_bits(bits, most):
    model, context = prepared("residual")
    quantized = onnx.load_from_string(Int8Static(weight_bits=bits)(model, context).model.data)
    weights = [
        onnx.numpy_helper.to_array(t) for t in quantized.graph.initializer if t.data_type == onnx.TensorProto.INT8
    ]
    assert max(int(np.abs(w.astype(int)).max()) for w in weights if w.ndim > 1) <= most


def test_bias_correction_brings_the_mean_answer_closer():
    model, context = prepared("mlp", 256)
    errors = {}
    for corrected in (False, True):
        result = Int8Static(bias_correction=corrected, per_channel=False, weight_bits=7)(model, context)
        errors[corrected] = np.abs(mean_answer(result.model, context) - mean_answer(model, context)).mean()
    assert errors[True] < errors[False]


def mean_answer(model, context):
    with open_session(model, options=EngineOptions()) as session:
        answers = [next(iter(session.infer(batch).values())) for batch in context.calibration.batches(1)]
    return np.concatenate(answers).mean(axis=0)


def test_a_quantized_model_is_not_quantized_again():
    model, context = prepared("residual")
    once = Int8Static()(model, context).model
    again = Int8Static()(once, context)
    assert again.status == "refused" and "already" in again.reason


def test_mixed_precision_leaves_the_most_sensitive_layers_in_float(tmp_path):
    model, context = prepared("residual")
    whole, mixed = Int8Static()(model, context), MixedPrecision(float_layers=2)(model, context)
    assert mixed.facts["kernels"] == whole.facts["kernels"] - 2
    assert mixed.facts["sqnr_db"] > whole.facts["sqnr_db"]
    assert runtime_operators(mixed.model, tmp_path).count("QLinearConv") < whole.facts["kernels"]


class Held:
    """Samples of one input."""

    name, digest, labels = "calibration", "held", None

    def __init__(self, name, values):
        self._name, self._values = name, values

    def __len__(self):
        return len(self._values)

    def batches(self, size):
        for start in range(0, len(self._values), size):
            yield {self._name: self._values[start : start + size]}


@pytest.mark.parametrize("batch", ["batch", 1])
@pytest.mark.parametrize("shape", [(8,), (5, 8)])
def test_a_product_with_a_bias_stays_on_integers(batch, shape, tmp_path):
    """ONNX Runtime would make a float Gemm of it."""
    b = Build(17, 0)
    x = b.input("x", [batch, *shape])
    y = b.node("Add", b.node("MatMul", x, b.weight(8, 16)), b.weight(16))
    b.output(b.node("Add", b.node("MatMul", b.node("Relu", y), b.weight(16, 4)), b.weight(4)))
    model = b.model()
    result = Int8Static()(model, Context(Drawn(model, 16)))
    ran = runtime_operators(result.model, tmp_path)
    assert not {"MatMul", "Gemm"} & set(ran), ran
    assert sum(op in {"QGemm", "MatMulIntegerToFloat", "QLinearMatMul"} for op in ran) == 2, ran
    assert result.facts["sqnr_db"] > 25


def test_gemm_with_factors_runs_on_integers(tmp_path):
    b = Build(17, 0)
    x = b.input("x", ["batch", 8])
    b.output(b.node("Gemm", x, b.weight(8, 4), b.weight(4), alpha=0.5, beta=2.0))
    model = b.model()
    result = Int8Static()(model, Context(Drawn(model, 16)))
    assert "QGemm" in runtime_operators(result.model, tmp_path)
    assert result.facts["sqnr_db"] > 25
