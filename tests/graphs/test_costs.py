"""Costs: MACs against hand-computed figures and against a count of the multiplications actually made."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

from edgewright.core.model import Model
from edgewright.core.workload import OperatorCost
from edgewright.formats.onnx import from_proto
from edgewright.graphs.costs import account, workload
from edgewright.graphs.shapes import shape
from edgewright.testing.build import Build
from edgewright.testing.graphs import models
from edgewright.testing.zoo import conv, head, zoo


def only(model: Model, batch: int = 1, **dims: int) -> OperatorCost:
    """The one operator with multiplications."""
    found = [o for o in workload(model, batch, dims).operators if o.macs]
    assert len(found) == 1
    return found[0]


# Hand-computed.


def resnet18() -> Model:
    """torchvision's ResNet-18 (He et al., Deep Residual Learning, 2015), batch normalisations not folded."""
    b = Build(13)

    def unit(x: str, inside: int, outside: int, kernel: int, stride: int) -> str:
        w = b.constant(np.zeros((outside, inside, kernel, kernel), np.float32), "w")
        y = b.node("Conv", x, w, kernel_shape=[kernel] * 2, strides=[stride] * 2, pads=[kernel // 2] * 4)
        return b.batch_norm(y, outside)

    x = b.node("Relu", unit(b.input("image", ["batch", 3, 224, 224]), 3, 64, 7, 2))
    x = b.node("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4)
    inside = 64
    for outside, stride in ((64, 1), (64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), (512, 1)):
        y = unit(b.node("Relu", unit(x, inside, outside, 3, stride)), outside, outside, 3, 1)
        skip = x if inside == outside else unit(x, inside, outside, 1, stride)
        x, inside = b.node("Relu", b.node("Add", y, skip)), outside
    head(b, x, 512, 1000)
    return b.model()


def test_resnet18_has_its_published_figures() -> None:
    found = workload(resnet18())
    assert found.macs == 1_814_073_344  # 1.81 GMAC: 1,813,561,344 in convolutions, 512,000 in the classifier
    assert found.parameters == 11_689_512  # torchvision's num_params
    assert found.weight_bytes == 4 * (11_689_512 + 9_600)  # and the running statistics of 4,800 channels
    # The first activation function: its 64 x 112 x 112 values and those it reads.
    assert found.peak_activation_bytes == 4 * 2 * 64 * 112 * 112


def _single(op: str, x: list, *weights: tuple[int, ...], domain: str = "", **attributes: object) -> Model:
    b = Build(17)
    made = b.node(op, b.input("x", x), *(b.weight(*w) for w in weights), domain=domain, **attributes)
    b.output(made)
    return b.model()


HAND = {
    # 16 outputs x 8 x 8 positions x (3 inputs x 9 taps)
    "conv": (_single("Conv", ["n", 3, 8, 8], (16, 3, 3, 3), pads=[1] * 4), 16 * 64 * 27),
    "conv stride": (_single("Conv", [1, 3, 9, 9], (4, 3, 3, 3), strides=[2, 2]), 4 * 16 * 27),
    "conv groups": (_single("Conv", [1, 8, 6, 6], (8, 2, 3, 3), pads=[1] * 4, group=4), 8 * 36 * 2 * 9),
    "depthwise": (_single("Conv", [1, 8, 6, 6], (8, 1, 3, 3), pads=[1] * 4, group=8), 8 * 36 * 9),
    "dilated 1-D": (_single("Conv", [1, 2, 16], (4, 2, 3), dilations=[2]), 4 * 12 * 2 * 3),
    "3-D": (_single("Conv", [1, 2, 4, 4, 4], (4, 2, 2, 2, 2)), 4 * 27 * 2 * 8),
    # Every one of 4 x 25 inputs meets 6 outputs of 9 taps.
    "transposed": (_single("ConvTranspose", [1, 4, 5, 5], (4, 6, 3, 3), strides=[2, 2]), 4 * 25 * 6 * 9),
    "transposed groups": (_single("ConvTranspose", [1, 4, 5, 5], (4, 3, 3, 3), group=2), 4 * 25 * 3 * 9),
    "gemm": (_single("Gemm", ["n", 20], (20, 7)), 140),
    "gemm transB": (_single("Gemm", ["n", 20], (7, 20), transB=1), 140),
    "gemm transA": (_single("Gemm", [20, 3], (20, 7), transA=1), 3 * 20 * 7),
    "matmul": (_single("MatMul", ["n", 5, 20], (20, 7)), 5 * 140),
    "matmul vector": (_single("MatMul", [20], (20,)), 20),
    "matmul broadcast": (_single("MatMul", [2, 1, 5, 6], (3, 6, 7)), 2 * 3 * 5 * 6 * 7),
    # 6 steps of 4 gates of 16 cells, each reading 10 inputs and 16 states, both ways.
    "lstm": (_single("LSTM", [6, 1, 10], (2, 64, 10), (2, 64, 16), hidden_size=16, direction="bidirectional"),
             2 * 6 * 4 * 16 * (10 + 16)),
    "gru": (_single("GRU", [6, 1, 10], (1, 48, 10), (1, 48, 16), hidden_size=16), 6 * 3 * 16 * 26),
    "rnn": (_single("RNN", [6, 1, 10], (1, 16, 10), (1, 16, 16), hidden_size=16), 6 * 16 * 26),
    "einsum": (_single("Einsum", [2, 3, 4], (2, 4, 5), equation="bij,bjk->bik"), 2 * 3 * 4 * 5),
    "einsum ellipsis": (_single("Einsum", [2, 3, 4, 6], (5, 6), equation="...d,ed->...e"), 24 * 5 * 6),
}  # fmt: skip


@pytest.mark.parametrize(("model", "macs"), HAND.values(), ids=HAND)
def test_macs_by_hand(model: Model, macs: int) -> None:
    assert only(model).macs == macs


def test_macs_grow_with_the_batch_and_with_named_sizes() -> None:
    b = Build()
    b.output(b.node("MatMul", b.input("x", ["batch", "seq", 8]), b.weight(8, 4)), ["batch", "seq", 4])
    assert only(b.model(), 3, seq=5).macs == 3 * 5 * 32


def contrib(
    op: str, inputs: list[list[int]], output: list[int], *, weights: dict[int, np.ndarray] | None = None,
    outputs: int = 1, **attributes: object,
) -> Model:  # fmt: skip
    """One com.microsoft operator: graph inputs first, then constants by slot."""
    b = Build(21)
    names: list[str] = []
    for i, sizes in enumerate(inputs):
        names.append(b.input(f"x{i}", sizes) if sizes else "")
    for slot, array in sorted((weights or {}).items()):
        names += [""] * (slot - len(names))
        names.append(b.constant(array))
    made = b.node(op, *names, outputs=outputs, domain="com.microsoft", **attributes)
    b.output(made if outputs == 1 else made[0], output)
    return b.model()


_SCALE, _ZERO8, _ZEROU8 = np.float32(0.1), np.int8(0), np.uint8(128)
_W8 = np.ones((6, 4), np.int8)
ATTENTION = {
    # scores and mixing: 2 x heads x S x L x size; projections of com.microsoft.Attention: S x D x 3 H
    "MultiHeadAttention": (contrib("MultiHeadAttention", [[1, 5, 16], [1, 7, 16], [1, 7, 16]], [1, 5, 16], num_heads=4),
                           2 * 4 * 5 * 7 * 4),
    "Attention": (contrib("Attention", [[1, 5, 16]], [1, 5, 16], num_heads=4,
                          weights={1: np.ones((16, 48), np.float32), 2: np.ones(48, np.float32)}),
                  5 * 16 * 48 + 2 * 4 * 5 * 5 * 4),
    "GroupQueryAttention": (contrib("GroupQueryAttention", [[1, 5, 16], [1, 5, 8], [1, 5, 8]], [1, 5, 16], outputs=3,
                                    weights={5: np.array([4], np.int32), 6: np.int32(5)}, num_heads=4, kv_num_heads=2),
                            2 * 4 * 5 * 5 * 4),
    "MatMulNBits": (contrib("MatMulNBits", [[3, 32]], [3, 6], K=32, N=6, bits=4, block_size=16,
                            weights={1: np.ones((6, 2, 8), np.uint8), 2: np.ones(12, np.float32)}), 3 * 32 * 6),
    "DynamicQuantizeMatMul": (contrib("DynamicQuantizeMatMul", [[3, 6]], [3, 4],
                                      weights={1: _W8, 2: np.ones(1, np.float32)}), 3 * 6 * 4),
}  # fmt: skip


@pytest.mark.parametrize(("model", "macs"), ATTENTION.values(), ids=ATTENTION)
def test_macs_of_contrib_operators(model: Model, macs: int) -> None:
    assert only(model).macs == macs


def test_four_bit_weights_are_told_by_their_width_and_count_unpacked() -> None:
    model = ATTENTION["MatMulNBits"][0]
    assert only(model).bits == 4
    assert workload(model).parameters == 32 * 6


def test_the_standard_attention_operator() -> None:
    b = Build(23)
    sizes = {"q": [1, 4, 5, 8], "k": [1, 4, 7, 8], "v": [1, 4, 7, 3]}
    made = b.node("Attention", *(b.input(n, s) for n, s in sizes.items()))
    b.output(made, [1, 4, 5, 3])
    assert only(b.model()).macs == 4 * 5 * 7 * (8 + 3)


INTEGER = {
    "QLinearConv": ([[1, 3, 6, 6]], {1: _SCALE, 2: _ZEROU8, 3: np.ones((4, 3, 3, 3), np.int8), 4: _SCALE, 5: _ZERO8,
                                     6: _SCALE, 7: _ZEROU8}, [1, 4, 4, 4], 4 * 16 * 27),
    "ConvInteger": ([[1, 3, 6, 6]], {1: np.ones((4, 3, 3, 3), np.int8)}, [1, 4, 4, 4], 4 * 16 * 27),
    "QLinearMatMul": ([[2, 6]], {1: _SCALE, 2: _ZEROU8, 3: _W8, 4: _SCALE, 5: _ZERO8, 6: _SCALE, 7: _ZEROU8},
                      [2, 4], 48),
    "MatMulInteger": ([[2, 6]], {1: _W8}, [2, 4], 48),
    "QGemm": ([[2, 6]], {1: _SCALE, 2: _ZEROU8, 3: _W8, 4: _SCALE, 5: _ZERO8}, [2, 4], 48),
}  # fmt: skip


@pytest.mark.parametrize("op", INTEGER)
def test_integer_operators_count_the_same_macs_at_eight_bits(op: str) -> None:
    inputs, weights, output, macs = INTEGER[op]
    kinds = {"ConvInteger": TensorProto.INT32, "MatMulInteger": TensorProto.INT32, "QGemm": TensorProto.FLOAT}
    names = ["x", *(f"c{slot}" for slot in range(1, max(weights) + 1))]
    held = [onnx.numpy_helper.from_array(np.asarray(a), f"c{slot}") for slot, a in weights.items()]
    domain = "com.microsoft" if op == "QGemm" else ""
    made = helper.make_node(op, names, ["y"], domain=domain)
    graph = helper.make_graph(
        [made], "g", [helper.make_tensor_value_info("x", TensorProto.UINT8, inputs[0])],
        [helper.make_tensor_value_info("y", kinds.get(op, TensorProto.UINT8), output)], held,
    )  # fmt: skip
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    found = only(from_proto(helper.make_model(graph, opset_imports=opsets, ir_version=8)))
    assert (found.macs, found.bits) == (macs, 8)
    assert found.read_bytes == math.prod(inputs[0])


# Against a count of the multiplications that a plain loop makes.


def looped_conv(x: np.ndarray, w: np.ndarray, strides: tuple[int, ...], pads: int, dilations: tuple[int, ...],
                group: int) -> tuple[np.ndarray, int]:  # fmt: skip
    """Convolution by its definition, one multiplication at a time: the result and how many there were."""
    rank = x.ndim - 2
    padded = np.pad(x, [(0, 0), (0, 0), *[(pads, pads)] * rank])
    reach = [(k - 1) * d + 1 for k, d in zip(w.shape[2:], dilations, strict=True)]
    sizes = [(n - r) // s + 1 for n, r, s in zip(padded.shape[2:], reach, strides, strict=True)]
    out = np.zeros((x.shape[0], w.shape[0], *sizes))
    count, per = 0, w.shape[0] // group
    for n, m, c in itertools.product(range(x.shape[0]), range(w.shape[0]), range(w.shape[1])):
        for place in itertools.product(*map(range, sizes)):
            for tap in itertools.product(*map(range, w.shape[2:])):
                at = tuple(p * s + t * d for p, s, t, d in zip(place, strides, tap, dilations, strict=True))
                out[(n, m, *place)] += padded[(n, (m // per) * w.shape[1] + c, *at)] * w[(m, c, *tap)]
                count += 1
    return out, count


@given(st.data())
@settings(max_examples=20, deadline=None)
def test_conv_macs_are_the_multiplications_of_a_loop(data: st.DataObject) -> None:
    rank = data.draw(st.integers(1, 3))
    group, per = data.draw(st.integers(1, 3)), data.draw(st.integers(1, 2))
    inside = group * data.draw(st.integers(1, 2))
    kernel = data.draw(st.tuples(*[st.integers(1, 2)] * rank))
    strides, dilations = (data.draw(st.tuples(*[st.integers(1, 2)] * rank)) for _ in range(2))
    pads = data.draw(st.integers(0, 1))
    space = data.draw(st.tuples(*[st.integers(3, 4)] * rank))
    batch = data.draw(st.integers(1, 2))
    rng = np.random.default_rng(0)
    x = rng.standard_normal((batch, inside, *space)).astype(np.float32)
    b = Build(17)
    w = rng.standard_normal((group * per, inside // group, *kernel)).astype(np.float32)
    made = b.node("Conv", b.input("x", ["batch", inside, *space]), b.constant(w), strides=strides, dilations=dilations,
                  pads=[pads] * 2 * rank, group=group)  # fmt: skip
    b.output(made)
    model = b.model()
    result, count = looped_conv(x, w, strides, pads, dilations, group)
    run = ort.InferenceSession(model.data, providers=["CPUExecutionProvider"]).run(None, {"x": x})[0]
    np.testing.assert_allclose(run, result, atol=1e-4)
    assert only(model, batch).macs == count


@given(st.data())
@settings(max_examples=20, deadline=None)
def test_matmul_macs_are_the_multiplications_of_a_loop(data: st.DataObject) -> None:
    batches = data.draw(st.lists(st.sampled_from([(2, 2), (1, 3), (3, 1)]), max_size=2))
    rows, inner, columns = (data.draw(st.integers(1, 4)) for _ in range(3))
    a, w = [p[0] for p in batches] + [rows, inner], [p[1] for p in batches] + [inner, columns]
    b = Build(17)
    b.output(b.node("MatMul", b.input("a", a), b.input("b", w)))
    pairs = [max(p) for p in batches]
    count = sum(1 for _ in itertools.product(*(range(n) for n in (*pairs, rows, columns, inner))))
    assert only(b.model()).macs == count


@given(models())
@settings(max_examples=25, deadline=None)
def test_any_random_graph_can_be_counted(drawn: tuple[Model, dict]) -> None:
    found = account(shape(drawn[0], 2))
    assert not found.notes
    assert found.workload.parameters * 4 <= found.workload.weight_bytes
    assert all(min(o.macs, o.flops, o.weight_bytes, o.read_bytes, o.written_bytes) >= 0
               for o in found.workload.operators)  # fmt: skip


# Quantized graphs.


def quantized(b: Build, x: str, zero_point: int = 128) -> str:
    scale, zero = b.constant(0.05, "s", np.float32), b.constant(zero_point, "z", np.uint8)
    return str(b.node("DequantizeLinear", b.node("QuantizeLinear", x, scale, zero), scale, zero))


def stored(b: Build, *sizes: int) -> str:
    w = b.constant(np.ones(sizes), "w", np.int8)
    scale, zero = b.constant(np.ones(sizes[0]), "s", np.float32), b.constant(np.zeros(sizes[0]), "z", np.int8)
    return str(b.node("DequantizeLinear", w, scale, zero, axis=0))


def test_a_convolution_between_pairs_reads_and_writes_integers() -> None:
    b = Build(17)
    x = quantized(b, b.input("x", [1, 4, 8, 8]))
    y = quantized(b, b.node("Relu", b.node("Conv", x, stored(b, 6, 4, 1, 1))), zero_point=0)
    b.output(y, [1, 6, 8, 8])
    found = {o.op_type: o for o in workload(b.model()).operators}
    # What runs: the input is quantized, the convolution with its Relu, the output is dequantized.
    assert list(found) == ["QuantizeLinear", "Conv", "DequantizeLinear"]
    assert (found["Conv"].bits, found["Conv"].read_bytes, found["Conv"].written_bytes) == (8, 256, 384)
    assert found["Conv"].weight_bytes == 24 + 6 * 4 + 6
    assert (found["QuantizeLinear"].read_bytes, found["QuantizeLinear"].written_bytes) == (1024, 256)
    assert (found["DequantizeLinear"].read_bytes, found["DequantizeLinear"].written_bytes) == (384, 1536)


@pytest.mark.parametrize(
    ("bounds", "zero_point", "fused"),
    [((None, None), 0, True), ((0.0, 12.75), 0, True), ((0.0, 6.0), 0, False), ((-6.4, 6.35), 128, True),
     ((0.0, 6.0), 128, False)],
)  # fmt: skip
def test_a_clip_is_part_of_the_rounding_only_where_the_integers_end_before_it(
    bounds: tuple[float | None, float | None], zero_point: int, fused: bool
) -> None:
    b = Build(17)
    x = b.node("Conv", quantized(b, b.input("x", [1, 4, 8, 8])), stored(b, 6, 4, 1, 1))
    held = ["" if bound is None else b.constant(bound, dtype=np.float32) for bound in bounds]
    b.output(quantized(b, b.node("Clip", x, *held), zero_point), [1, 6, 8, 8])
    kinds = [o.op_type for o in workload(b.model()).operators]
    assert ("Clip" not in kinds) == fused


def test_a_pair_around_a_float_operator_costs_what_it_does() -> None:
    b = Build(17)
    x = quantized(b, b.input("x", [1, 4]))
    b.output(b.node("Erf", x), [1, 4])
    found = workload(b.model()).operators
    assert [o.op_type for o in found] == ["QuantizeLinear", "DequantizeLinear", "Erf"]
    assert [o.bits for o in found] == [32, 32, 32]


def test_integer_weights_of_a_float_operator_are_dequantized_at_every_call() -> None:
    b = Build(17)
    b.output(b.node("Conv", b.input("x", [1, 4, 8, 8]), stored(b, 6, 4, 1, 1)), [1, 6, 8, 8])
    found = {o.op_type: o for o in workload(b.model()).operators}
    assert list(found) == ["DequantizeLinear", "Conv"]
    assert found["DequantizeLinear"].written_bytes == 96
    assert found["Conv"].bits == 32


@pytest.mark.parametrize(
    ("bits", "axis", "runs", "width", "weights"),
    [(8, 1, ["MatMul"], 32, 64 * 8 + 32 + 8), (4, 1, ["MatMul"], 4, 32 * 8 + 32 + 4),
     (8, 0, ["DequantizeLinear", "MatMul"], 32, 0)],
)  # fmt: skip
def test_weights_alone_in_integers(bits: int, axis: int, runs: list[str], width: int, weights: int) -> None:
    b = Build(21)
    kind = TensorProto.INT8 if bits == 8 else TensorProto.INT4
    columns = 8 if axis == 1 else 64
    b.held.append(helper.make_tensor("w", kind, [64, 8], bytes(64 * 8 * bits // 8), raw=True))
    b.held.append(helper.make_tensor("z", kind, [columns], bytes(columns * bits // 8), raw=True))
    w = b.node("DequantizeLinear", "w", b.constant(np.ones(columns, np.float32)), "z", axis=axis)
    b.output(b.node("MatMul", b.input("x", [3, 64]), w), [3, 8])
    found = workload(b.model()).operators
    assert [o.op_type for o in found] == runs
    assert (found[-1].bits, found[-1].weight_bytes) == (width, weights)


@pytest.mark.parametrize("sharing", [False, True])
def test_dynamic_quantization_is_one_operator_or_two(sharing: bool) -> None:
    b = Build(17)
    values, scale, zero = b.node("DynamicQuantizeLinear", b.input("x", [3, 64]), outputs=3)
    for _ in range(1 + sharing):
        sums = b.node("MatMulInteger", values, b.constant(np.ones((64, 8), np.int8)), zero)
        both = b.node("Mul", scale, b.constant(0.1, dtype=np.float32))
        b.output(b.node("Mul", b.node("Cast", sums, to=TensorProto.FLOAT), both), [3, 8])
    found = workload(b.model()).operators
    assert [o.op_type for o in found] == (["DynamicQuantizeLinear"] if sharing else []) + ["MatMulInteger"] * (
        1 + sharing
    )
    assert {o.bits for o in found if o.macs} == {8}
    product = found[-1]
    assert (product.read_bytes, product.written_bytes) == (192 + 1 if sharing else 768, 96)


def test_a_matmul_may_write_floats_a_pool_may_not() -> None:
    b = Build(17)
    x = quantized(b, b.input("x", [1, 4, 8, 8]))
    b.output(b.node("GlobalAveragePool", x), [1, 4, 1, 1])
    assert [o.op_type for o in workload(b.model()).operators] == [
        "QuantizeLinear", "DequantizeLinear", "GlobalAveragePool",
    ]  # fmt: skip
    b = Build(17)
    b.output(b.node("MatMul", quantized(b, b.input("x", [2, 6])), stored(b, 6, 4)), [2, 4])
    found = {o.op_type: o for o in workload(b.model()).operators}
    assert list(found) == ["QuantizeLinear", "MatMul"]
    assert (found["MatMul"].bits, found["MatMul"].written_bytes) == (8, 32)


def test_views_and_folded_constants_cost_nothing() -> None:
    b = Build(17)
    w = b.node("Transpose", b.weight(4, 8))
    x = b.reshape(b.input("x", [2, 2, 4]), [2, 8])
    b.output(b.node("MatMul", x, w), [2, 4])
    found = {o.op_type: o for o in workload(b.model()).operators}
    assert list(found) == ["Reshape", "MatMul"]
    assert (found["Reshape"].read_bytes, found["Reshape"].written_bytes) == (0, 0)
    assert (found["MatMul"].weight_bytes, found["MatMul"].read_bytes) == (128, 64)


def test_a_lookup_reads_the_rows_it_takes() -> None:
    found = {o.op_type: o for o in workload(zoo()["embedding"]()).operators}
    assert found["Gather"].weight_bytes == 7 * 32 * 4


def test_parameters_leave_out_settings_and_statistics() -> None:
    b = Build(17)
    x = b.node("Clip", conv(b, b.input("x", [1, 3, 4, 4]), 3, 8), b.constant(0.0), b.constant(6.0))
    b.output(b.reshape(b.batch_norm(x, 8), [1, -1]), [1, 128])
    assert workload(b.model()).parameters == 8 * 27 + 8 + 2 * 8


def test_a_shared_weight_is_stored_once_and_read_twice() -> None:
    found = workload(zoo()["shared_weight"]())
    assert found.parameters == 3 * 8 * 9 + 8 + 8 * 8 * 9 + 64
    assert sum(o.weight_bytes for o in found.operators) == 4 * (3 * 8 * 9 + 8 + 2 * 8 * 8 * 9 + 2 * 64)


# Control flow and trees.


def test_an_if_costs_its_dearer_branch() -> None:
    found = workload(zoo()["conditional"]())
    gemms = [o.name for o in found.operators if o.op_type == "Gemm"]
    assert len(gemms) == 2
    assert "branch/" in gemms[0]
    assert sum(o.macs for o in found.operators if o.op_type == "Gemm") == 64 + 32


def looping(count: Callable[[Build], str]) -> Model:
    body = Build()
    body._count = 100
    body.input("i", [], "int64")
    body.input("go", [], "bool")
    body.input("state", [1, 8])
    body.output(body.node("Identity", "go"), [], "bool")
    body.output(body.node("MatMul", "state", body.weight(8, 8)), [1, 8])
    b = Build()
    b.output(b.node("Loop", count(b), b.constant(True), b.input("x", [1, 8]), body=body.graph("body")), [1, 8])
    return b.model()


def test_a_loop_costs_its_body_times_its_trips() -> None:
    assert workload(looping(lambda b: b.constant(5, dtype=np.int64))).macs == 5 * 64
    unknown = account(shape(looping(lambda b: b.input("trips", [], "int64"))))
    assert unknown.workload.macs == 64
    assert any("counted once" in note for note in unknown.notes)


def test_a_tree_ensemble_costs_its_longest_paths() -> None:
    sklearn_tree = {
        "nodes_treeids": [0, 0, 0, 0, 0, 1], "nodes_nodeids": [0, 1, 2, 3, 4, 0],
        "nodes_featureids": [0, 0, 1, 0, 0, 0], "nodes_values": [0.5, 0.0, 0.2, 0.0, 0.0, 0.0],
        "nodes_modes": ["BRANCH_LEQ", "LEAF", "BRANCH_LEQ", "LEAF", "LEAF", "LEAF"],
        "nodes_truenodeids": [1, 0, 3, 0, 0, 0], "nodes_falsenodeids": [2, 0, 4, 0, 0, 0],
        "target_treeids": [0, 0, 0, 1], "target_nodeids": [1, 3, 4, 0], "target_ids": [0, 0, 0, 0],
        "target_weights": [1.0, 2.0, 3.0, 0.5], "n_targets": 1,
    }  # fmt: skip
    b = Build()
    x = b.input("x", ["batch", 2])
    b.output(b.node("TreeEnsembleRegressor", x, domain="ai.onnx.ml", **sklearn_tree), ["batch", 1])
    found = workload(b.model(), 3)
    assert found.macs == 0
    assert found.operators[0].flops == 3 * ((2 + 0) + 2)  # paths of two and no comparison, and a sum for each tree
    assert found.parameters == 6 + 4


def test_an_operator_without_a_formula_is_told() -> None:
    b = Build()
    b.output(b.node("Strange", b.input("x", [1, 2]), domain="nobody.knows"), [1, 2])
    notes = account(shape(b.model())).notes
    assert any("nobody.knows.Strange: no formula" in note for note in notes)
