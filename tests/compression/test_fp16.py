"""FP16: what is halved, what stays float32, and where it declines."""

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings

from edgewright.compression.contract import Context
from edgewright.compression.passes.fp16 import Fp16
from edgewright.compression.rewriting.halving import fits
from edgewright.engines import open_session
from edgewright.testing.graphs import Build, Drawn, initializer_arrays, models, op_types, zoo
from edgewright.testing.passes import check_pass
from edgewright.testing.zoo import linear

F = np.float32


def halved(model, samples=8):
    return check_pass(Fp16(), model, Context(calibration=Drawn(model, samples)))


def network(write, width=64):
    b = Build(17)
    b.output(write(b, b.input("x", ["batch", width])), ["batch", width])
    return b.model()


def dtypes(model):
    return {name: array.dtype.name for name, array in initializer_arrays(model).items()}


@pytest.mark.parametrize("graph", ["residual", "transposed", "inception", "mlp"])
def test_weights_are_halved_and_the_signature_is_not(graph):
    model = zoo()[graph]()
    result = halved(model)
    assert result.status == "applied" and result.facts["sqnr_db"] > 50
    assert result.model.size_bytes < 0.66 * model.size_bytes
    assert {t.dtype for t in (*result.model.signature.inputs, *result.model.signature.outputs)} == {"float32"}


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_both_engines_answer_alike(engine):
    pytest.importorskip(engine)
    model = zoo()["residual"]()
    batch = next(iter(Drawn(model, 2).batches(2)))
    with open_session(model) as first, open_session(halved(model).model, engine) as second:
        (a,), (b,) = first.infer(batch).values(), second.infer(batch).values()
    assert np.abs(a - b).max() < 1e-2 * np.abs(a).max()


def test_softmax_and_normalisation_stay_float32():
    def write(b, x):
        y = b.layer_norm(linear(b, x, 64, 64), 64, whole=True)
        return b.node("Softmax", linear(b, y, 64, 64), axis=-1)

    result = halved(network(write))
    proto = onnx.load_model_from_string(result.model.data)
    inferred = onnx.shape_inference.infer_shapes(proto)
    types = {v.name: v.type.tensor_type.elem_type for v in inferred.graph.value_info}
    for node in proto.graph.node:
        if node.op_type in ("Softmax", "LayerNormalization"):
            assert types[node.input[0]] == onnx.TensorProto.FLOAT
        if node.op_type == "MatMul":
            assert types[node.output[0]] == onnx.TensorProto.FLOAT16


def test_neighbours_share_one_cast_and_halves_meet_without_one():
    def write(b, x):
        return b.node("Add", linear(b, x, 64, 64), linear(b, b.node("Relu", linear(b, x, 64, 64)), 64, 64))

    assert op_types(halved(network(write)).model).count("Cast") == 2  # one in, one out


@pytest.mark.parametrize("value", [1e6, -7e4])
def test_a_node_with_a_constant_beyond_float16_stays(value):
    def write(b, x):
        y = linear(b, x, 64, 64)
        return linear(b, b.node("Div", b.node("Mul", y, b.constant(value, "c", F)), b.constant(value, "c", F)), 64, 64)

    result = halved(network(write))
    assert result.status == "applied"
    assert sorted(a for a in dtypes(result.model).values()) == ["float16"] * 4 + ["float32"]


def test_a_vanishing_epsilon_stays_float32():
    def write(b, x):
        y = b.node("Abs", linear(b, x, 64, 64))
        return linear(b, b.node("Div", y, b.node("Add", y, b.constant(1e-9, "eps", F))), 64, 64)

    result = halved(network(write))
    assert any(a.dtype == np.float32 and a.size == 1 for a in initializer_arrays(result.model).values())


def test_activations_that_come_near_the_limit_keep_their_node_in_float32():
    b = Build(17)
    x = b.input("x", ["batch", 64])
    big = b.node("MatMul", x, b.constant(np.full((64, 64), 5e3), "w", F))
    b.output(b.node("MatMul", b.node("Tanh", big), b.weight(64, 64)), ["batch", 64])
    result = halved(b.model(), samples=32)
    assert sorted(dtypes(result.model).values()) == ["float16", "float32"]


@pytest.mark.parametrize(
    ("write", "says"),
    [
        (lambda b, x: b.node("Relu", x), "no float32 weights"),
        (lambda b, x: b.node("MatMul", x, b.constant(np.full((64, 64), 1e5), "w", F)), "no float32 weights"),
        (lambda b, x: b.node("Mul", x, b.constant(0.5, "c", F)), "casts would take more"),
    ],
)
def test_it_declines_with_a_reason(write, says):
    result = halved(network(write))
    assert result.status == "refused" and says in result.reason


def test_a_branch_of_an_if_still_reads_float32():
    assert halved(zoo()["conditional"]()).status in ("applied", "refused")


@pytest.mark.parametrize(
    ("array", "kept"),
    [(1e-9, False), (0.0, True), (1.0, True), (65504.0, True), (7e4, False), ([1e-9, 1.0], True), (-np.inf, True),
     ([1.0, 1e5], False), (1e-7, False)],
)  # fmt: skip
def test_what_keeps_its_meaning_in_float16(array, kept):
    assert fits(np.asarray(array, F)) == kept


@settings(max_examples=25, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
@given(models())
def test_drawn_graphs(drawn):
    halved(drawn[0], 4)
