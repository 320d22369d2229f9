"""Fuse: which spellings become which operator, what must be left alone, and that the numbers stay."""

import warnings
from collections import Counter

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings

from edgewright.compression.contract import Context
from edgewright.compression.passes.fuse import Fuse
from edgewright.compression.rewriting.facts import Symbol, observe_shapes
from edgewright.formats.onnx import from_proto
from edgewright.testing.graphs import Build, Drawn, initializer_arrays, models, op_types, zoo
from edgewright.testing.passes import check_pass
from edgewright.testing.zoo import linear

F = np.float32


def fused(model, **options):
    return check_pass(Fuse(**options), model, Context(calibration=Drawn(model, 4)))


def opset_of(model):
    return next(o.version for o in onnx.load_model_from_string(model.data).opset_import if not o.domain)


def elementwise(write, opset=17, shape=("batch", 6, 8), out=None):
    """A graph with one input of ``shape`` and what ``write(b, x)`` makes of it."""
    b = Build(opset)
    b.output(write(b, b.input("x", shape)), out or shape)
    return b.model()


def number(b, value):
    return b.constant(value, "n", F)


# Scales and shifts


@pytest.mark.parametrize(
    ("name", "left"),
    [("residual", {"Conv", "Relu", "Add", "GlobalAveragePool", "Flatten", "Gemm"}),
     ("depthwise", {"Conv", "Relu", "Clip", "Add", "GlobalAveragePool", "Flatten", "Gemm"})],
)  # fmt: skip
def test_batch_normalisation_goes_into_the_convolution(name, left):
    assert set(op_types(fused(zoo()[name]()).model)) == left


@pytest.mark.parametrize("op", ["Mul", "Add", "Sub", "Div"])
@pytest.mark.parametrize("shape", [(8, 1, 1), (1, 8, 1, 1), ()])
def test_a_channel_constant_behind_a_convolution_is_folded(op, shape):
    def write(b, x):
        y = b.node("Conv", x, b.weight(8, 3, 3, 3))
        return b.node(op, y, b.constant(b.rng.uniform(0.5, 2, shape), "c", F))

    model = elementwise(write, shape=("batch", 3, 6, 6), out=("batch", 8, 4, 4))
    assert op_types(fused(model).model) == ["Conv"]


@pytest.mark.parametrize("op", ["ConvTranspose", "Gemm"])
def test_transposed_convolutions_and_gemm_take_a_scale(op):
    def write(b, x):
        if op == "Gemm":
            y = b.node("Gemm", b.node("Flatten", x), b.weight(6, 48), b.weight(1, 6), transB=1, alpha=0.5, beta=2.0)
            return b.node("Add", b.node("Mul", y, b.weight(6)), b.weight(6))
        y = b.node("ConvTranspose", x, b.weight(3, 2, 2, 2), group=3)
        return b.batch_norm(y, 6)

    out = ("batch", 6) if op == "Gemm" else ("batch", 6, 5, 5)
    assert op_types(fused(elementwise(write, shape=("batch", 3, 4, 4), out=out)).model)[-1] == op


@pytest.mark.parametrize(
    "write",
    [
        lambda b, y: b.node("Mul", y, b.weight(1, 1, 4, 4)),  # one number a pixel
        lambda b, y: b.node("Add", y, b.weight(2, 8, 4, 4)),  # changes the shape
        lambda b, y: b.node("Div", number(b, 1.0), y),  # the wrong way round
    ],
)
def test_what_is_no_channel_constant_stays(write):
    model = elementwise(lambda b, x: write(b, b.node("Conv", x, b.weight(8, 3, 3, 3))), shape=(1, 3, 6, 6),
                        out=None)  # fmt: skip
    assert fused(model).status == "unchanged"


def test_a_convolution_somebody_else_reads_is_not_scaled():
    b = Build(17)
    y = b.node("Conv", b.input("x", ["batch", 3, 6, 6]), b.weight(8, 3, 3, 3))
    b.output(b.node("Mul", y, number(b, 2.0)))
    b.output(b.node("Relu", y))
    assert fused(b.model()).status == "unchanged"


def test_a_shared_weight_stays_shared_under_a_shift():
    b = Build(17)
    w = b.weight(3, 3, 3, 3)
    x = b.input("x", ["batch", 3, 8, 8])
    for _ in range(2):
        x = b.node("Relu", b.node("Add", b.node("Conv", x, w, pads=[1] * 4), b.weight(3, 1, 1)))
    b.output(x)
    result = fused(b.model())
    assert [a.shape for a in initializer_arrays(result.model).values()].count((3, 3, 3, 3)) == 1


# Norms and activations


def inverse_norm(b, x):
    centred = b.node("Sub", x, b.reduce("ReduceMean", x, [-1]))
    spread = b.node("Add", number(b, 1e-5), b.reduce("ReduceMean", b.node("Mul", centred, centred), [-1]))
    return b.node("Mul", b.node("Reciprocal", b.node("Sqrt", spread)), centred)


def rms(b, x):
    spread = b.node("Add", b.reduce("ReduceMean", b.node("Pow", x, number(b, 2.0)), [-1]), number(b, 1e-6))
    return b.node("Mul", b.node("Div", x, b.node("Sqrt", spread)), b.weight(8))


def gelu_other_order(b, x):
    erf = b.node("Erf", b.node("Mul", x, number(b, 2**-0.5)))
    return b.node("Mul", b.node("Mul", x, number(b, 0.5)), b.node("Add", number(b, 1.0), erf))


def gelu_by_multiplication(b, x):
    cube = b.node("Mul", b.node("Mul", x, x), x)
    inner = b.node("Add", b.node("Mul", number(b, 0.044715), cube), x)
    gate = b.node("Tanh", b.node("Mul", number(b, (2 / np.pi) ** 0.5), inner))
    return b.node("Mul", number(b, 0.5), b.node("Mul", x, b.node("Add", gate, number(b, 1.0))))


def hard_swish(b, x):
    gate = b.node("Clip", b.node("Add", x, number(b, 3.0)), number(b, 0.0), number(b, 6.0))
    return b.node("Div", b.node("Mul", x, gate), number(b, 6.0))


@pytest.mark.parametrize(
    ("write", "opset", "left"),
    [
        (lambda b, x: b.layer_norm(x, 8), 17, ["LayerNormalization"]),
        (inverse_norm, 17, ["LayerNormalization"]),
        (rms, 23, ["RMSNormalization"]),
        (lambda b, x: b.gelu(x), 20, ["Gelu"]),
        (gelu_other_order, 20, ["Gelu"]),
        (lambda b, x: b.gelu(x, approximate=True), 20, ["Gelu"]),
        (gelu_by_multiplication, 20, ["Gelu"]),
        (hard_swish, 14, ["HardSwish"]),
        (lambda b, x: b.node("Mul", b.node("HardSigmoid", x, alpha=1 / 6, beta=0.5), x), 14, ["HardSwish"]),
    ],
)
@pytest.mark.parametrize("start", [11, 13, 20])
def test_a_spelling_becomes_one_operator_and_the_opset_rises_no_further_than_that(write, opset, left, start):
    result = fused(elementwise(write, start))
    assert op_types(result.model) == left
    assert opset_of(result.model) == max(start, opset)


def wrong_gelu(b, x):
    erf = b.node("Erf", b.node("Div", x, number(b, 1.5)))
    return b.node("Mul", b.node("Mul", x, b.node("Add", erf, number(b, 1.0))), number(b, 0.5))


def other_mean(b, x):
    centred = b.node("Sub", x, b.reduce("ReduceMean", x, [1]))
    spread = b.node("Add", b.reduce("ReduceMean", b.node("Mul", centred, centred), [1]), number(b, 1e-5))
    return b.node("Div", centred, b.node("Sqrt", spread))


@pytest.mark.parametrize(
    "write",
    [
        wrong_gelu,
        other_mean,
        lambda b, x: b.node("Mul", x, b.node("HardSigmoid", x)),  # its default slopes are others
        lambda b, x: b.node("Mul", x, b.node("Sigmoid", x)),  # SiLU: the engines' own fusion is faster
    ],
)
def test_what_only_looks_alike_stays(write):
    assert fused(elementwise(write)).status == "unchanged"


# Shapes


def test_facts_tell_fixed_and_dynamic_sizes():
    facts = observe_shapes(zoo()["shapes"]())
    assert facts.shapes and facts.sizes == {("image", 0): (3, 2, 1)}
    assert facts.size([3, 2, 1]) == Symbol("image", 0) and facts.size([6, 4, 2]) == Symbol("image", 0, 2)
    assert facts.size([7, 7, 7]) == 7 and facts.size([7, 8, 9]) is None


def test_a_reshape_of_a_dynamic_batch_gets_a_constant_target():
    result = fused(zoo()["shapes"]())
    assert op_types(result.model)[:3] == ["Conv", "Relu", "Reshape"]
    assert [0, 8 * 12 * 12] in [a.tolist() for a in initializer_arrays(result.model).values()]


def test_a_size_no_constant_can_hold_is_read_from_the_input():
    def write(b, x):
        y = b.node("Transpose", x, perm=[0, 2, 1])
        size = b.node("Gather", b.node("Shape", y), b.constant(0, "i", np.int64), axis=0)
        whole = b.node(
            "Where", b.node("Equal", size, b.constant(-1, "i", np.int64)), b.constant(1, "i", np.int64), size
        )
        target = b.node("Concat", b.unsqueeze(whole, [0]), b.constant([1, 6], "r", np.int64), axis=0)
        return b.node("Concat", y, b.node("Expand", b.weight(1, 1, 6), target), axis=1)

    result = fused(elementwise(write, out=("batch", 9, 6)))
    assert Counter(op_types(result.model)) == Counter({"Concat": 2, "Transpose": 1, "Shape": 1, "Expand": 1})


def test_a_model_that_runs_at_no_other_batch_is_left_alone():
    b = Build(17)
    x = b.input("x", ["batch", 4])
    b.output(b.node("Relu", b.reshape(x, [1, 4])), ["batch", 4])
    assert observe_shapes(b.model()).shapes == {} or fused(b.model()).status == "unchanged"


# Attention


def attend(b, x, y=None, mask=None, scale_after=False, tap=False):
    """4 heads over 8 tokens of 32; keys and values from ``y`` where given."""
    y = x if y is None else y
    q = b.node("Transpose", b.reshape(linear(b, x, 32, 32), [0, 8, 4, 8]), perm=[0, 2, 1, 3])
    k = b.node("Transpose", b.reshape(linear(b, y, 32, 32, bias=False), [0, 8, 4, 8]), perm=[0, 2, 3, 1])
    v = b.node("Transpose", b.reshape(linear(b, y, 32, 32), [0, 8, 4, 8]), perm=[0, 2, 1, 3])
    scores = b.node("MatMul", q, k)
    if mask is not None and scale_after:
        scores = b.node("Add", scores, mask)
    scores = b.node("Div", scores, number(b, 8**0.5))
    if mask is not None and not scale_after:
        scores = b.node("Add", scores, mask)
    weights = b.node("Softmax", scores, axis=-1)
    if tap:
        b.output(weights, ["batch", 4, 8, 8])
    mixed = b.node("Transpose", b.node("MatMul", weights, v), perm=[0, 2, 1, 3])
    return linear(b, b.reshape(mixed, [0, 8, 32]), 32, 32)


@pytest.mark.parametrize(("contrib", "op", "opset"), [(False, "Attention", 23), (True, "MultiHeadAttention", 17)])
def test_attention_becomes_one_operator_with_one_product_before_it(contrib, op, opset):
    result = fused(elementwise(attend, shape=("batch", 8, 32)), contrib=contrib)
    assert op_types(result.model) == ["MatMul", "Add", "Split", op, "MatMul", "Add"]
    assert opset_of(result.model) == opset
    assert (32, 96) in [a.shape for a in initializer_arrays(result.model).values()]


def test_cross_attention_merges_what_shares_its_rows():
    b = Build(17)
    x, y = b.input("x", ["batch", 8, 32]), b.input("y", ["batch", 8, 32])
    b.output(attend(b, x, y), ["batch", 8, 32])
    result = fused(b.model())
    assert Counter(op_types(result.model))["MatMul"] == 3
    assert {(32, 64), (32, 32)} <= {a.shape for a in initializer_arrays(result.model).values()}


@pytest.mark.parametrize("contrib", [False, True])
@pytest.mark.parametrize("shape", [(1, 1, 8, 8), (4, 8, 8), (8, 8)])
def test_a_mask_added_to_the_scores_is_kept(contrib, shape):
    def write(b, x):
        return attend(b, x, mask=b.constant(np.triu(np.full(shape, -1e4), 1), "mask", F))

    result = fused(elementwise(write, shape=("batch", 8, 32)), contrib=contrib)
    assert ("MultiHeadAttention" if contrib else "Attention") in op_types(result.model)


def masked_before_scaling(b, x):
    return attend(b, x, mask=b.constant(np.triu(np.full((1, 1, 8, 8), -30.0), 1), "mask", F), scale_after=True)


def softmax_over_queries(b, x):
    q = b.node("Transpose", b.reshape(linear(b, x, 32, 32), [0, 8, 4, 8]), perm=[0, 2, 1, 3])
    weights = b.node("Softmax", b.node("MatMul", q, b.node("Transpose", q, perm=[0, 1, 3, 2])), axis=2)
    return b.reshape(b.node("Transpose", b.node("MatMul", weights, q), perm=[0, 2, 1, 3]), [0, 8, 32])


def heads_swapped_behind(b, x):
    q = b.node("Transpose", b.reshape(linear(b, x, 32, 32), [0, 8, 4, 8]), perm=[0, 2, 1, 3])
    weights = b.node("Softmax", b.node("MatMul", q, b.node("Transpose", q, perm=[0, 1, 3, 2])), axis=-1)
    return b.reshape(b.node("Transpose", b.node("MatMul", weights, q), perm=[0, 2, 3, 1]), [0, 8, 32])


@pytest.mark.parametrize(
    "write",
    [masked_before_scaling, softmax_over_queries, heads_swapped_behind, lambda b, x: attend(b, x, tap=True)],
)
def test_what_is_not_that_attention_stays(write):
    model = elementwise(write, shape=("batch", 8, 32))
    assert "Attention" not in op_types(fused(model).model)


def test_one_projection_for_all_heads_may_interleave_them():
    """(batch, tokens, heads, 3, width): a column order no exporter's rule would expect, read off by following it."""

    def write(b, x):
        y = b.node("Transpose", b.reshape(linear(b, x, 32, 96), [0, 8, 4, 3, 8]), perm=[3, 0, 2, 1, 4])
        q, k, v = (b.node("Gather", y, b.constant(i, "i", np.int64), axis=0) for i in range(3))
        scores = b.node("MatMul", b.node("Mul", q, number(b, 0.3)), b.node("Transpose", k, perm=[0, 1, 3, 2]))
        mixed = b.node("MatMul", b.node("Softmax", scores, axis=-1), v)
        return b.reshape(b.node("Transpose", mixed, perm=[0, 2, 1, 3]), [0, 8, 32])

    result = fused(elementwise(write, shape=("batch", 8, 32)))
    assert op_types(result.model) == ["MatMul", "Add", "Split", "Attention"]


def test_a_linear_layer_between_a_transpose_and_its_reverse_is_straightened():
    def write(b, x):
        y = b.node("Transpose", x, perm=[1, 0, 2])
        y = b.node("Gemm", b.reshape(y, [-1, 8]), b.weight(5, 8), b.weight(5), transB=1)
        return b.node("Transpose", b.reshape(y, [6, -1, 5]), perm=[1, 0, 2])

    assert op_types(fused(elementwise(write, out=("batch", 6, 5))).model) == ["MatMul", "Add"]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("dynamo", [True, False])
@pytest.mark.parametrize("kind", ["module", "packed"])
def test_encoders_as_torch_exports_them(kind, dynamo, tmp_path):
    torch = pytest.importorskip("torch")
    from torch import nn

    class Packed(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm, self.qkv, self.out = nn.LayerNorm(16), nn.Linear(16, 48), nn.Linear(16, 16)

        def forward(self, x):
            b, n, c = x.shape
            q, k, v = self.qkv(self.norm(x)).reshape(b, n, 3, 2, 8).permute(2, 0, 3, 1, 4).unbind(0)
            y = nn.functional.scaled_dot_product_attention(q, k, v)
            return x + self.out(y.transpose(1, 2).reshape(b, n, c))

    torch.manual_seed(0)
    if kind == "module":
        layer = nn.TransformerEncoderLayer(16, 2, 32, 0.0, activation="gelu", batch_first=True, norm_first=True)
        net = nn.TransformerEncoder(layer, 1, enable_nested_tensor=False)
    else:
        net = Packed()
    torch.backends.mha.set_fastpath_enabled(False)
    path = tmp_path / "encoder.onnx"
    example = (torch.randn(2, 6, 16),)
    names = {"input_names": ["x"], "output_names": ["y"]}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if dynamo:
            dims = ({0: torch.export.Dim("batch")},)
            torch.onnx.export(net.eval(), example, str(path), dynamo=True, dynamic_shapes=dims, external_data=False,
                              verbose=False, **names)  # fmt: skip
        else:
            axes = {"x": {0: "batch"}, "y": {0: "batch"}}
            torch.onnx.export(net.eval(), example, str(path), dynamo=False, opset_version=17, dynamic_axes=axes,
                              **names)  # fmt: skip
    result = fused(from_proto(onnx.load(path)))
    left = Counter(op_types(result.model))
    assert left["Attention"] == 1 and left["Split"] == 1
    assert not {"Reshape", "Transpose", "Softmax", "Shape", "Erf", "Concat"} & set(left)
    assert left["MatMul"] == (4 if kind == "module" else 2)


@settings(max_examples=25, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
@given(models(kinds=("sequence",)))
def test_drawn_sequences_keep_their_numbers(drawn):
    fused(drawn[0])
