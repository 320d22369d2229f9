"""INT8 dynamic: which products, in which pattern, and what is left float."""

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from hypothesis import HealthCheck, given, settings

from edgewright.compression.contract import Context
from edgewright.compression.passes.int8_dynamic import Int8Dynamic
from edgewright.testing.graphs import Build, Drawn, initializer_arrays, models, op_types, zoo
from edgewright.testing.passes import check_pass
from edgewright.testing.zoo import linear

F = np.float32


def quantized(model, **options):
    return check_pass(Int8Dynamic(**{"smallest": 1, **options}), model, Context(calibration=Drawn(model, 6)))


def optimised(model, tmp_path):
    """The operators ONNX Runtime really runs."""
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.optimized_model_filepath = str(tmp_path / "optimised.onnx")
    ort.InferenceSession(model.data, options, providers=["CPUExecutionProvider"])
    return [node.op_type for node in onnx.load(tmp_path / "optimised.onnx").graph.node]


def network(write, shape=("batch", 32), out=None):
    b = Build(17)
    b.output(write(b, b.input("x", shape)), out)
    return b.model()


def gemm(inside=32, outside=16, bias=(16,), **attributes):
    def write(b, x):
        shape = (outside, inside) if attributes.get("transB") else (inside, outside)
        held = [] if bias is None else [b.weight(*bias) if bias else b.constant(0.5, "c", F)]
        return b.node("Gemm", x, b.weight(*shape), *held, **attributes)

    return write


@pytest.mark.parametrize(
    "write",
    [
        gemm(), gemm(transB=1), gemm(alpha=0.5, beta=3.0, transB=1), gemm(bias=None), gemm(bias=()), gemm(bias=(1, 16)),
        lambda b, x: linear(b, x, 32, 16), lambda b, x: linear(b, x, 32, 16, bias=False),
    ],
)  # fmt: skip
def test_every_spelling_of_a_linear_layer_runs_as_one_integer_operator(write, tmp_path):
    model = quantized(network(write)).model
    assert "MatMulInteger" in op_types(model) and "Gemm" not in op_types(model)
    assert optimised(model, tmp_path) == ["DynamicQuantizeMatMul"]


def test_layers_that_read_the_same_share_its_quantization(tmp_path):
    def write(b, x):
        return b.node("Mul", linear(b, x, 32, 16), b.node("Sigmoid", linear(b, x, 32, 16)))

    model = quantized(network(write)).model
    assert op_types(model).count("DynamicQuantizeLinear") == 1
    assert optimised(model, tmp_path).count("MatMulIntegerToFloat") == 2


def test_a_product_of_two_activations_stays_float():
    result = quantized(zoo()["attention"]())
    assert op_types(result.model).count("MatMul") == 2 and result.facts["quantized"] == {"products": 6}


@pytest.mark.parametrize(
    "write",
    [
        lambda b, x: b.node("MatMul", x, x),
        lambda b, x: b.node("MatMul", b.weight(8, 32), b.node("Transpose", x, perm=[1, 0])),
        lambda b, x: b.node("Relu", x),
        lambda b, x: b.node("MatMul", x, b.constant(np.full((32, 32), np.inf), "w", F)),
        lambda b, x: b.node("Gemm", x, b.weight(32, 32), transA=1),
    ],
)
def test_it_declines_what_it_cannot_quantize(write):
    result = quantized(network(write, shape=(32, 32)))
    assert result.status == "refused" and "no matrix product" in result.reason


@pytest.mark.parametrize(("smallest", "status"), [(4096, "refused"), (512, "applied")])
def test_products_too_small_to_gain_stay(smallest, status):
    assert quantized(network(gemm()), smallest=smallest).status == status


def test_named_nodes_stay():
    model = zoo()["mlp"]()
    name = next(n.name for n in onnx.load_model_from_string(model.data).graph.node if n.op_type == "MatMul")
    result = quantized(model, skip=(name,))
    assert "MatMul" in op_types(result.model) and result.facts["quantized"]["products"] == 4


@pytest.mark.parametrize("bits", [7, 8])
def test_seven_bits_keep_two_products_inside_sixteen(bits):
    weights = [a for a in initializer_arrays(quantized(zoo()["mlp"](), weight_bits=bits).model).values()
               if a.dtype == np.int8]  # fmt: skip
    assert max(np.abs(w.astype(int)).max() for w in weights) == 2 ** (bits - 1) - 1


def test_a_shared_weight_is_stored_once():
    b = Build(17)
    x = b.input("x", ["batch", 16])
    w = b.weight(16, 16)
    b.output(b.node("MatMul", b.node("Tanh", b.node("MatMul", x, w)), w), ["batch", 16])
    stored = [a for a in initializer_arrays(quantized(b.model()).model).values() if a.dtype == np.int8]
    assert [a.shape for a in stored] == [(16, 16)]


def test_a_column_of_zeros_does_no_harm():
    def write(b, x):
        w = b.rng.standard_normal((32, 16))
        w[:, 3] = 0
        return b.node("MatMul", x, b.constant(w, "w", F))

    assert quantized(network(write)).status == "applied"


def test_lstm_runs_on_integers_and_gru_stays():
    model = quantized(zoo()["lstm"]()).model
    assert op_types(model)[0] == "DynamicQuantizeLSTM"
    assert "LSTM" in op_types(quantized(zoo()["lstm"](), recurrent=False).model)
    assert "GRU" in op_types(quantized(zoo()["gru"]()).model)


def test_convolutions_and_tables_only_when_asked():
    image, ids = zoo()["residual"](), zoo()["embedding"]()
    assert "ConvInteger" not in op_types(quantized(image).model)
    assert op_types(quantized(image, conv=True).model).count("ConvInteger") == 6
    assert quantized(ids).facts["quantized"] == {"products": 2}
    result = quantized(ids, embeddings=True)
    assert (50, 32) in [a.shape for a in initializer_arrays(result.model).values() if a.dtype == np.int8]


def test_what_is_dead_is_not_counted():
    assert quantized(zoo()["old_style"](), conv=True).facts["quantized"] == {"convolutions": 1, "products": 1}


@settings(max_examples=40, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
@given(models())
def test_drawn_graphs(drawn):
    quantized(drawn[0], conv=True, embeddings=True)
