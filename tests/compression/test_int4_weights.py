"""INT4 weights: the blocks' arithmetic, GPTQ, what the operator gets, and what is left alone."""

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgewright.compression.contract import Context
from edgewright.compression.passes.int4_weights import Int4Weights
from edgewright.compression.rewriting.blocks import quantize_blocks
from edgewright.compression.rewriting.moments import second_moments
from edgewright.core.errors import Refused
from edgewright.engines import open_session
from edgewright.testing.graphs import Build, Drawn, initializer_arrays, models, op_types, zoo
from edgewright.testing.passes import check_pass
from edgewright.testing.zoo import linear

F = np.float32
RNG = np.random.default_rng(0)


def quantized(model, data=True, **options):
    context = Context(calibration=Drawn(model, 32)) if data else Context()
    return check_pass(Int4Weights(**{"smallest": 1, **options}), model, context)


def network(inside=64, outside=24):
    b = Build(17, seed=3)
    b.output(linear(b, b.input("x", ["batch", inside]), inside, outside), ["batch", outside])
    return b.model()


def error(weight, blocks, moments=None):
    """Mean squared error of the outputs, given E[x x^T] of the inputs (default: white)."""
    difference = (blocks.restore()[:, : weight.shape[0]] - weight.T).astype(float)
    metric = np.eye(weight.shape[0]) if moments is None else moments
    return float(np.einsum("ni,ij,nj->", difference, metric, difference))


@settings(max_examples=30, deadline=None, derandomize=True, database=None)
@given(
    inputs=st.integers(1, 70),
    outputs=st.integers(1, 9),
    size=st.sampled_from([16, 32, 64]),
    bits=st.sampled_from([4, 8]),
    symmetric=st.booleans(),
    seed=st.integers(0, 999),
)
def test_integers_stay_in_range_and_restore_the_weights(inputs, outputs, size, bits, symmetric, seed):
    weight = np.random.default_rng(seed).standard_normal((inputs, outputs)).astype(F)
    blocks = quantize_blocks(weight, size, bits, symmetric)
    assert blocks.integers.max() < 2**bits and blocks.integers.shape[1] % size == 0
    if symmetric:
        assert (blocks.zeros == 2 ** (bits - 1)).all()
    step = np.abs(weight).max() / (2 ** (bits - 1) - 1)
    # Half a step, and what clipping may cost where it lowers the sum of squares.
    assert np.abs(blocks.restore()[:, :inputs].T - weight).max() <= 5 * step


def test_zeros_stay_zeros():
    assert not quantize_blocks(np.zeros((40, 3), F), 32, 4, False).restore().any()


@pytest.mark.parametrize("symmetric", [False, True])
def test_searched_scales_beat_the_extremes(symmetric):
    weight = (RNG.standard_t(3, (256, 32)) / 16).astype(F)
    blocks = quantize_blocks(weight, 64, 4, symmetric)
    rows = weight.T.reshape(32, 4, 64)
    if symmetric:
        scale = np.abs(rows).max(-1, keepdims=True) / 7
        naive = np.clip(np.rint(rows / scale), -8, 7) * scale
    else:
        low, high = rows.min(-1, keepdims=True), rows.max(-1, keepdims=True)
        scale = (high - low) / 15
        zero = np.rint(-low / scale)
        naive = (np.clip(np.rint(rows / scale) + zero, 0, 15) - zero) * scale
    assert error(weight, blocks) < (0.9 if symmetric else 0.97) * float(((naive - rows) ** 2).sum())


@pytest.mark.parametrize("bits", [4, 8])
def test_samples_make_rounding_errors_cancel(bits):
    mixing = RNG.standard_normal((96, 96)) * np.linspace(0.05, 1, 96)
    seen, unseen = (mixing @ RNG.standard_normal((96, n)) for n in (400, 400))
    weight = (RNG.standard_normal((96, 16)) / 10).astype(F)
    with_samples = quantize_blocks(weight, 32, bits, False, seen @ seen.T / 400)
    without = quantize_blocks(weight, 32, bits, False)
    held_out = unseen @ unseen.T / 400
    assert error(weight, with_samples, held_out) < 0.5 * error(weight, without, held_out)


def test_inputs_that_never_vary_do_not_stop_it():
    moments = np.zeros((40, 40))
    moments[0, 0] = 1.0
    blocks = quantize_blocks(RNG.standard_normal((40, 4)).astype(F), 16, 4, True, moments)
    assert np.isfinite(blocks.restore()).all()


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
@pytest.mark.parametrize("options", [{"block": b, "symmetric": s, "bits": n}
                                     for b in (32, 128) for s in (True, False) for n in (4, 8)])  # fmt: skip
def test_engines_compute_what_the_blocks_stand_for(engine, options):
    pytest.importorskip(engine)
    model = network(inside=72)
    result = quantized(model, data=False, **options)
    weight = next(a for a in initializer_arrays(model).values() if a.ndim == 2)
    bias = next(a for a in initializer_arrays(model).values() if a.ndim == 1)
    restored = quantize_blocks(weight, options["block"], options["bits"], options["symmetric"]).restore()[:, :72]
    x = RNG.standard_normal((3, 72)).astype(F)
    with open_session(result.model, engine) as session:
        (y,) = session.infer({"x": x}).values()
    wanted = x @ restored.T + bias
    assert np.abs(y - wanted).max() < 0.02 * np.abs(wanted).max()  # the engine rounds activations to int8


@pytest.mark.parametrize(("inside", "size"), [(9, 16), (20, 32), (33, 64), (500, 128)])
def test_a_block_is_no_larger_than_the_inputs_need(inside, size):
    proto = onnx.load_model_from_string(quantized(network(inside), data=False, block=128).model.data)
    node = next(n for n in proto.graph.node if n.op_type == "MatMulNBits")
    assert {a.name: a.i for a in node.attribute}["block_size"] == size


def test_a_file_of_weights_shrinks_to_a_sixth():
    model = network(512, 256)
    result = quantized(model, data=False, block=128)
    assert result.model.size_bytes < model.size_bytes / 6
    assert op_types(result.model) == ["MatMulNBits", "Add"]


def test_gemm_in_every_spelling_counts():
    result = quantized(zoo()["mlp"]())
    assert result.facts["layers"] == 5 and result.facts["compensated"] == 5
    assert not {"Gemm", "MatMul"} & set(op_types(result.model))


def test_samples_help_on_the_model_itself():
    model = zoo()["attention"]()
    assert quantized(model).facts["sqnr_db"] > quantized(model, data=False).facts["sqnr_db"]


def test_a_layer_behind_a_layer_that_is_an_output_too():
    b = Build(17)
    y = linear(b, b.input("x", ["batch", 16]), 16, 16)
    b.output(y, ["batch", 16])
    b.output(linear(b, y, 16, 16), ["batch", 16])
    assert quantized(b.model()).facts["compensated"] == 2


@pytest.mark.parametrize("graph", ["transposed"])
def test_it_declines_where_nothing_qualifies(graph):
    result = quantized(zoo()[graph]())
    assert result.status == "refused" and "no MatMul or Gemm" in result.reason


def test_small_and_named_layers_stay():
    assert quantized(zoo()["mlp"](), smallest=10_000).status == "refused"
    name = next(n.name for n in onnx.load_model_from_string(network().data).graph.node if n.op_type == "MatMul")
    assert quantized(network(), skip=(name,)).status == "refused"


def test_second_moments_are_those_of_the_samples():
    model = network(16)
    samples = Drawn(model, 50)
    found = second_moments(model, {"x": -1}, Context(calibration=samples))["x"]
    x = np.concatenate([batch["x"] for batch in samples.batches(7)]).astype(float)
    assert found.rows == 50 and np.allclose(found.matrix, x.T @ x / 50)


def test_second_moments_need_samples_the_model_takes():
    with pytest.raises(Refused, match="calibration"):
        second_moments(network(), {"x": -1}, Context())


@settings(max_examples=30, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
@given(models(kinds=("vector", "sequence")))
def test_drawn_graphs(drawn):
    quantized(drawn[0])
