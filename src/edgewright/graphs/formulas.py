"""What one operator computes: multiply-accumulates and other arithmetic, as formulas over shapes.

Conventions. A multiply-accumulate (MAC) is one multiplication and one addition; positions in a convolution's padding
count, as in every published figure. ``flops`` are all other arithmetic operations, biases included: one for an
addition, comparison or multiplication, ``FUNCTION`` for a transcendental function (about the terms of the polynomial
that evaluates it). Moving data costs neither.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from edgewright.graphs.view import Constant, Node, TensorFacts

FUNCTION = 8
"""Operations of one exponential, logarithm, error function or the like."""

Cost = tuple[int, int]
"""(MACs, flops)."""


class Unknown(Exception):  # noqa: N818 - reads as what it says
    """A shape that the formula needs is not known."""


@dataclass(frozen=True)
class Case:
    """One node with what is known of its values."""

    node: Node
    facts: Mapping[str, TensorFacts]
    constants: Mapping[str, Constant]

    def given(self, slot: int) -> bool:
        """Whether the optional input is there."""
        return 0 <= slot < len(self.node.inputs) and bool(self.node.inputs[slot])

    def shape(self, slot: int) -> tuple[int, ...]:
        """Shape of an input. Raises Unknown."""
        return self._shape(self.node.inputs[slot] if slot < len(self.node.inputs) else "")

    def out(self, slot: int = 0) -> tuple[int, ...]:
        """Shape of an output. Raises Unknown."""
        return self._shape(self.node.outputs[slot] if slot < len(self.node.outputs) else "")

    def _shape(self, name: str) -> tuple[int, ...]:
        if name not in self.facts:
            raise Unknown(name)
        return self.facts[name].shape

    def get(self, name: str, default: Any = None) -> Any:
        """An attribute."""
        return self.node.attributes.get(name, default)

    def need(self, name: str) -> Any:
        """An attribute the operator requires. Raises Unknown when it is missing."""
        if name not in self.node.attributes:
            raise Unknown(name)
        return self.node.attributes[name]

    def size(self, slot: int) -> int:
        """Elements of an input. Raises Unknown."""
        return math.prod(self.shape(slot))

    def made(self) -> int:
        """Elements of the first output. Raises Unknown."""
        return math.prod(self.out())


Formula = Callable[[Case], Cost]


def _convolution(data: int, weight: int, bias: int) -> Formula:
    """Conv and its relatives; the slots say where the data, weights (M, C / group, kernel...) and bias are."""

    def formula(c: Case) -> Cost:
        per_output = math.prod(c.shape(weight)[1:])
        c.shape(data)
        return c.made() * per_output, c.made() if c.given(bias) else 0

    return formula


def _transposed(c: Case) -> Cost:
    """ConvTranspose: every input value meets M / group filters; weights (C, M / group, kernel...)."""
    return c.size(0) * math.prod(c.shape(1)[1:]), c.made() if c.given(2) else 0


def _matmul(left: int, right: int, bias: int = -1) -> Formula:
    """MatMul and its relatives: the left operand's last size is summed over, batches broadcast."""

    def formula(c: Case) -> Cost:
        a, b = c.shape(left), c.shape(right)
        if not a or not b:
            raise Unknown("operand")
        inner = a[-2] if c.get("transA", 0) and len(a) > 1 else a[-1]
        return c.made() * inner, c.made() if c.given(bias) else 0

    return formula


def _gemm(c: Case) -> Cost:
    rows, columns = c.out()
    inner = c.shape(0)[0 if c.get("transA", 0) else 1]
    scaled = sum(float(c.get(name, 1.0)) != 1.0 for name in ("alpha", "beta"))
    return rows * columns * inner, rows * columns * (int(c.given(2)) + scaled)


def _blocked_matmul(c: Case) -> Cost:
    """MatMulNBits, MatMulBnb4: the weights' sizes are attributes; each one is dequantized (2 operations) once."""
    columns, inner = int(c.need("N")), int(c.need("K"))
    rows = c.size(0) // max(inner, 1)
    return rows * columns * inner, 2 * columns * inner


def _recurrent(gates: int) -> Formula:
    """LSTM, GRU, RNN: X (T, B, I), W (directions, gates H, I). Gates are sigmoids and tanhs."""

    def formula(c: Case) -> Cost:
        sizes = c.shape(0)
        steps, inside = math.prod(sizes[:2]), sizes[2]
        hidden = int(c.need("hidden_size"))
        directions = 2 if c.get("direction", "forward") == "bidirectional" else 1
        cells = directions * steps * hidden
        return cells * gates * (inside + hidden), cells * (gates * (FUNCTION + 2) + 6)

    return formula


def _products(batch: int, heads: int, queries: int, keys: int, size: int, values: int) -> Cost:
    """Scores, softmax and mixing of attention; a causal mask does not reduce what kernels compute."""
    scores = batch * heads * queries * keys
    return scores * (size + values), scores * (2 + _SOFTMAX)


def _past(c: Case, slot: int, axis: int) -> int:
    return c.shape(slot)[axis] if c.given(slot) else 0


def _attention(c: Case) -> Cost:
    """com.microsoft.Attention and QAttention: input (B, S, D), weights (D, 3 H) projected inside."""
    batch, length, inside = c.shape(0)
    outside = c.shape(1)[1]
    heads = int(c.need("num_heads"))
    sizes = c.get("qkv_hidden_sizes") or [outside // 3] * 3
    past = _past(c, 4 if c.node.op_type == "Attention" else 8, 3)
    macs, flops = _products(batch, heads, length, length + past, sizes[0] // heads, sizes[2] // heads)
    return macs + batch * length * inside * outside, flops + batch * length * outside


def _multi_head(c: Case) -> Cost:
    """com.microsoft.MultiHeadAttention: query (B, S, D) or packed (B, S, heads, 3, size); key, value (B, L, D)."""
    query, heads = c.shape(0), int(c.need("num_heads"))
    past = _past(c, 6, 2)
    if len(query) == 5:
        return _products(query[0], heads, query[1], query[1] + past, query[4], query[4])
    key = c.shape(1)
    if len(key) == 5:  # packed key and value (B, L, heads, 2, size)
        return _products(query[0], heads, query[1], key[1] + past, key[4], key[4])
    keys = key[1] if len(key) == 3 else key[2]
    values = c.shape(2)
    width = values[2] // heads if len(values) == 3 else values[3]
    return _products(query[0], heads, query[1], keys + past, query[2] // heads, width)


def _grouped_query(c: Case) -> Cost:
    """com.microsoft.GroupQueryAttention: the cache's length is the keys' where a present key is written."""
    batch, length, width = c.shape(0)
    heads, shared = int(c.need("num_heads")), int(c.need("kv_num_heads"))
    size = width // (heads if c.given(1) else heads + 2 * shared)
    keys = c.out(1)[2] if len(c.node.outputs) > 1 and c.node.outputs[1] in c.facts else length + _past(c, 3, 2)
    return _products(batch, heads, length, keys, size, size)


def _standard_attention(c: Case) -> Cost:
    """ai.onnx Attention (opset 23): Q, K, V of (B, heads, S, size) or (B, S, heads size)."""
    query, key, value = c.shape(0), c.shape(1), c.shape(2)
    if len(query) == 4:
        heads, length, size = query[1:]
        return _products(query[0], heads, length, key[2] + _past(c, 4, 2), size, value[3])
    heads, shared = int(c.need("q_num_heads")), int(c.need("kv_num_heads"))
    return _products(query[0], heads, query[1], key[1] + _past(c, 4, 2), query[2] // heads, value[2] // shared)


def _either_attention(c: Case) -> Cost:
    return _attention(c) if c.node.domain == "com.microsoft" else _standard_attention(c)


def _einsum(c: Case) -> Cost:
    """Every letter's size multiplied, once for each operand but the first: the sum as the equation writes it."""
    equation = str(c.need("equation")).replace(" ", "")
    terms = equation.split("->")[0].split(",")
    sizes: dict[str, int] = {}
    for slot, term in enumerate(terms):
        shape = c.shape(slot)
        hidden = len(shape) - len(term.replace("...", ""))
        letters = list(term.replace("...", "\0"))
        if "\0" in letters:
            at = letters.index("\0")
            letters[at : at + 1] = [f"...{hidden - i}" for i in range(hidden)]
        if len(letters) != len(shape):
            raise Unknown("equation")
        for letter, size in zip(letters, shape, strict=True):
            sizes[letter] = max(sizes.get(letter, 1), size) if size else 0
    total = math.prod(sizes.values())
    return (total * (len(terms) - 1), 0) if len(terms) > 1 else (0, total if total > c.made() else 0)


def _linear_model(c: Case) -> Cost:
    """LinearClassifier, LinearRegressor: as many products a row as there are coefficients."""
    rows = c.shape(0)[0] if len(c.shape(0)) > 1 else 1
    outputs = max(len(c.get("intercepts", [])), 1)
    return rows * len(c.get("coefficients", [])), rows * outputs * (1 + FUNCTION)


def _vector_machine(c: Case) -> Cost:
    """SVMClassifier, SVMRegressor: the row against every support vector, then their coefficients."""
    rows = c.shape(0)[0] if len(c.shape(0)) > 1 else 1
    vectors = max(sum(c.get("vectors_per_class", [])), int(c.get("n_supports", 0)), 1)
    stored, weights = len(c.get("support_vectors", [])), len(c.get("coefficients", []))
    return rows * (stored + weights), rows * vectors * FUNCTION


def _trees(c: Case) -> Cost:
    """A tree ensemble: each row takes one path a tree; the longest is counted, one comparison a level and one sum."""
    rows = c.shape(0)[0] if len(c.shape(0)) > 1 else 1
    depths = tree_depths(c.node)
    return 0, rows * (sum(depths) + len(depths))


def tree_depths(node: Node) -> list[int]:
    """The longest path of each tree, in comparisons."""
    a = node.attributes
    children: dict[Any, list[Any]] = {}
    if node.op_type == "TreeEnsemble":
        true, false = a.get("nodes_truenodeids", []), a.get("nodes_falsenodeids", [])
        leaf = [a.get(k, [0] * len(true)) for k in ("nodes_trueleafs", "nodes_falseleafs")]
        for i, pair in enumerate(zip(true, false, strict=False)):
            children[i] = [("leaf", i, j) if leaf[j][i] else pair[j] for j in (0, 1)]
        roots: list[Any] = list(a.get("tree_roots", []))
    else:
        trees, ids = a.get("nodes_treeids", []), a.get("nodes_nodeids", [])
        modes, true = a.get("nodes_modes", []), a.get("nodes_truenodeids", [])
        false = a.get("nodes_falsenodeids", [])
        for tree, i, mode, yes, no in zip(trees, ids, modes, true, false, strict=False):
            children[tree, i] = [] if mode == "LEAF" else [(tree, yes), (tree, no)]
        roots = [(tree, 0) for tree in dict.fromkeys(trees)]
    depths = []
    for root in roots:
        deepest, level, seen = 0, [root], 0
        while level and seen <= len(children) + 1:  # a hostile file may write a cycle
            seen += len(level)
            level = [child for one in level for child in children.get(one, [])]
            deepest += bool(level)
        depths.append(deepest)
    return depths


_SOFTMAX = 4 + FUNCTION  # maximum, difference, sum, quotient, exponential


def _each(flops: int) -> Formula:
    """So many operations for every output value."""
    return lambda c: (0, flops * c.made())


def _each_input(flops: int) -> Formula:
    """So many operations for every value of the first input."""
    return lambda c: (0, flops * c.size(0))


def _pool(c: Case) -> Cost:
    return 0, c.made() * math.prod(int(k) for k in c.need("kernel_shape"))


def _resize(c: Case) -> Cost:
    taps = {"nearest": 0, "linear": 2, "cubic": 4}.get(str(c.get("mode", "nearest")), 2)
    spatial = sum(a != b for a, b in zip(c.shape(0), c.out(), strict=True))
    return 0, c.made() * (2 * taps**spatial if taps and spatial else 0)


def _top(c: Case) -> Cost:
    return 0, c.size(0) * max(1, math.ceil(math.log2(max(c.shape(0)[-1] if c.shape(0) else 1, 2))))


_NONE: Formula = lambda _: (0, 0)  # noqa: E731 - a row of the table below


def _rows(formula: Formula, *names: str) -> dict[str, Formula]:
    return dict.fromkeys(names, formula)


FORMULAS: Mapping[str, Formula] = {
    **_rows(_convolution(0, 1, 2), "Conv", "FusedConv", "NhwcFusedConv", "DeformConv"),
    **_rows(_convolution(0, 1, -1), "ConvInteger"),
    **_rows(_convolution(0, 3, 8), "QLinearConv"),
    **_rows(_transposed, "ConvTranspose"),
    **_rows(_matmul(0, 1), "MatMul", "FusedMatMul", "TransposeMatMul", "MatMulInteger", "MatMulInteger16"),
    **_rows(_matmul(0, 1, 6), "MatMulIntegerToFloat"),
    **_rows(_matmul(0, 1, 4), "DynamicQuantizeMatMul"),
    **_rows(_matmul(0, 3), "QLinearMatMul"),
    **_rows(_matmul(0, 3, 6), "QGemm"),
    **_rows(_gemm, "Gemm", "FusedGemm"),
    **_rows(_blocked_matmul, "MatMulNBits", "MatMulBnb4"),
    **_rows(_recurrent(4), "LSTM", "DynamicQuantizeLSTM"),
    **_rows(_recurrent(3), "GRU"),
    **_rows(_recurrent(1), "RNN"),
    **_rows(_either_attention, "Attention"),
    **_rows(_attention, "QAttention"),
    **_rows(_multi_head, "MultiHeadAttention", "DecoderMaskedMultiHeadAttention"),
    **_rows(_grouped_query, "GroupQueryAttention"),
    **_rows(_einsum, "Einsum"),
    **_rows(_linear_model, "LinearClassifier", "LinearRegressor"),
    **_rows(_vector_machine, "SVMClassifier", "SVMRegressor"),
    **_rows(_trees, "TreeEnsembleClassifier", "TreeEnsembleRegressor", "TreeEnsemble"),
    **_rows(_pool, "MaxPool", "AveragePool", "LpPool", "QLinearAveragePool", "NhwcMaxPool"),
    **_rows(_each_input(1), "GlobalAveragePool", "GlobalMaxPool", "QLinearGlobalAveragePool", "ReduceSum", "ReduceMean",
            "ReduceMax", "ReduceMin", "ReduceProd", "ReduceL1", "ArgMax", "ArgMin", "CumSum", "QLinearReduceMean"),
    **_rows(_each_input(2), "ReduceL2", "ReduceSumSquare", "GlobalLpPool", "DynamicQuantizeLinear"),
    **_rows(_each_input(1 + FUNCTION), "ReduceLogSum", "ReduceLogSumExp"),
    **_rows(_each(1), "Add", "Sub", "Mul", "Div", "Neg", "Abs", "Relu", "Max", "Min", "Sum", "Mean", "Floor", "Ceil",
            "Round", "Sign", "Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "And", "Or", "Xor", "Not",
            "Where", "Mod", "Reciprocal", "BitShift", "BitwiseAnd", "BitwiseOr", "BitwiseXor", "BitwiseNot", "Trilu",
            "IsNaN", "IsInf", "ThresholdedRelu", "Shrink", "Binarizer"),
    **_rows(_each(2), "Clip", "LeakyRelu", "PRelu", "BatchNormalization", "HardSigmoid", "QuantizeLinear",
            "DequantizeLinear", "Scaler", "QLinearAdd", "QLinearMul", "QLinearLeakyRelu", "QLinearWhere", "Imputer"),
    **_rows(_each(3), "HardSwish", "Normalizer"),
    **_rows(_each(FUNCTION), "Exp", "Log", "Sqrt", "Erf", "Sin", "Cos", "Tan", "Asin", "Acos", "Atan", "Sinh", "Cosh",
            "Asinh", "Acosh", "Atanh", "Pow", "QLinearSigmoid", "RotaryEmbedding"),
    **_rows(_each(2 + FUNCTION), "Sigmoid", "Tanh", "Softplus", "Softsign", "Elu", "Celu", "Selu"),
    **_rows(_each(4 + FUNCTION), "Gelu", "FastGelu", "BiasGelu", "QuickGelu", "Mish", "Swish"),
    **_rows(_each(_SOFTMAX), "Softmax", "LogSoftmax", "Hardmax", "QLinearSoftmax"),
    **_rows(_each(7), "LayerNormalization", "InstanceNormalization", "GroupNormalization",
            "MeanVarianceNormalization"),
    **_rows(_each(8), "SkipLayerNormalization", "EmbedLayerNormalization", "LpNormalization", "LRN"),
    **_rows(_each(4), "RMSNormalization", "SimplifiedLayerNormalization"),
    **_rows(_each(5), "SkipSimplifiedLayerNormalization", "GridSample", "RoiAlign"),
    **_rows(_resize, "Resize", "Upsample"),
    **_rows(_top, "TopK", "Unique"),
    **_rows(_NONE, "Reshape", "Flatten", "Transpose", "Squeeze", "Unsqueeze", "Identity", "Dropout", "Cast", "CastLike",
            "Concat", "Split", "Slice", "Gather", "GatherElements", "GatherND", "GatherBlockQuantized", "Scatter",
            "ScatterElements", "ScatterND", "Pad", "Tile", "Expand", "Shape", "Size", "ConstantOfShape", "Range",
            "OneHot", "NonZero", "DepthToSpace", "SpaceToDepth", "ReverseSequence", "EyeLike", "Compress", "ZipMap",
            "QLinearConcat", "ArrayFeatureExtractor", "FeatureVectorizer", "LabelEncoder", "OneHotEncoder",
            "CategoryMapper", "DictVectorizer", "CastMap", "Constant", "SequenceConstruct", "SequenceAt",
            "SequenceInsert", "SequenceErase", "SequenceEmpty", "SequenceLength", "ConcatFromSequence",
            "SplitToSequence", "Optional", "OptionalGetElement", "OptionalHasElement", "If", "Loop", "Scan",
            "SequenceMap"),
}  # fmt: skip
"""Operator -> formula, by name alone: the domains do not disagree about these."""


def cost(case: Case) -> Cost | None:
    """(MACs, flops) of one node, or None for an operator that is not in the table. Raises Unknown."""
    formula = FORMULAS.get(case.node.op_type)
    if formula is None:
        return None
    try:
        return formula(case)
    except (IndexError, ZeroDivisionError, TypeError, ValueError) as error:
        raise Unknown(f"{case.node.kind}: {error}") from error
