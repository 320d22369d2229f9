"""Handwritten small graphs, one for each structure that rewriting is known to get wrong."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from edgewright.core.model import Model
from edgewright.testing.build import Build

_F = np.float32


def _stem(opset: int = 17, channels: int = 8, size: int = 12, seed: int = 0) -> tuple[Build, str]:
    b = Build(opset, seed)
    x = b.input("image", ["batch", 3, size, size])
    return b, b.node("Relu", conv(b, x, 3, channels))


def conv(b: Build, x: str, inside: int, outside: int, kernel: int = 3, stride: int = 1, groups: int = 1) -> str:
    """A 2-D convolution with bias and same padding."""
    w = b.weight(outside, inside // groups, kernel, kernel, gain=1.3)
    pad = kernel // 2
    return str(b.node("Conv", x, w, b.weight(outside, gain=0.1), kernel_shape=[kernel] * 2, strides=[stride] * 2,
                      pads=[pad] * 4, group=groups))  # fmt: skip


def linear(b: Build, x: str, inside: int, outside: int, bias: bool = True) -> str:
    """MatMul with (inside, outside) weights, and an Add."""
    w = b.constant(b.rng.standard_normal((inside, outside)) / np.sqrt(inside), "w", np.float32)
    y = b.node("MatMul", x, w)
    return str(b.node("Add", y, b.weight(outside, gain=0.1)) if bias else y)


def head(b: Build, x: str, channels: int, classes: int = 5) -> None:
    """Global average pooling, Flatten, Gemm with transposed weights, and the output ``logits``."""
    pooled = b.node("Flatten", b.node("GlobalAveragePool", x))
    y = b.node("Gemm", pooled, b.weight(classes, channels), b.weight(classes, gain=0.1), transB=1)
    b.output(y, ["batch", classes])


def residual() -> Model:
    """Two residual blocks, the second with stride and a projection; batch normalisation not folded."""
    b, x = _stem()
    y = b.node("Relu", b.batch_norm(conv(b, x, 8, 8), 8))
    x = b.node("Relu", b.node("Add", b.batch_norm(conv(b, y, 8, 8), 8), x))
    y = b.node("Relu", b.batch_norm(conv(b, x, 8, 16, stride=2), 16))
    y = b.batch_norm(conv(b, y, 16, 16), 16)
    x = b.node("Relu", b.node("Add", y, b.batch_norm(conv(b, x, 8, 16, kernel=1, stride=2), 16)))
    head(b, x, 16)
    return b.model()


def depthwise() -> Model:
    """An inverted residual block: 1x1 expansion, depthwise 3x3, 1x1 projection, ReLU6 as Clip."""
    b, x = _stem()
    six = [b.constant(0.0, "low", _F), b.constant(6.0, "high", _F)]
    y = b.node("Clip", b.batch_norm(conv(b, x, 8, 32, kernel=1), 32), *six)
    y = b.node("Clip", b.batch_norm(conv(b, y, 32, 32, groups=32), 32), *six)
    y = b.batch_norm(conv(b, y, 32, 8, kernel=1), 8)
    head(b, b.node("Add", x, y), 8)
    return b.model()


def attention(opset: int = 14) -> Model:
    """One transformer encoder block (8 tokens of 32, 4 heads), layer norms and Gelu decomposed, as torch exports it."""
    b = Build(opset)
    x = b.input("tokens", ["batch", 8, 32])
    b.output(encoder_block(b, x, 8, 32, 4), ["batch", 8, 32])
    return b.model()


def encoder_block(b: Build, x: str, tokens: int, width: int, heads: int) -> str:
    """Pre-norm self-attention and MLP."""
    d = width // heads
    n = b.layer_norm(x, width)

    def split_heads(y: str, order: list[int]) -> str:
        return str(b.node("Transpose", b.reshape(y, [0, tokens, heads, d]), perm=order))

    q = split_heads(linear(b, n, width, width), [0, 2, 1, 3])
    k = split_heads(linear(b, n, width, width), [0, 2, 3, 1])
    v = split_heads(linear(b, n, width, width), [0, 2, 1, 3])
    scores = b.node("Mul", b.node("MatMul", q, k), b.constant(d**-0.5, "scale", _F))
    mixed = b.node("MatMul", b.node("Softmax", scores, axis=-1), v)
    joined = b.reshape(b.node("Transpose", mixed, perm=[0, 2, 1, 3]), [0, tokens, width])
    x = b.node("Add", x, linear(b, joined, width, width))
    hidden = b.gelu(linear(b, b.layer_norm(x, width), width, 2 * width))
    return str(b.node("Add", x, linear(b, hidden, 2 * width, width)))


def inception() -> Model:
    """Three branches of other kernels and widths, concatenated, then mixed by a 1x1 convolution."""
    b, x = _stem()
    branches = [
        b.node("Relu", conv(b, x, 8, 8, kernel=1)),
        b.node("Relu", conv(b, x, 8, 12)),
        b.node("MaxPool", x, kernel_shape=[3, 3], strides=[1, 1], pads=[1] * 4),
    ]
    y = b.node("Concat", *branches, axis=1)
    head(b, b.node("Relu", conv(b, y, 28, 16, kernel=1)), 16)
    return b.model()


def recurrent(cell: str = "LSTM") -> Model:
    """A recurrent layer over 6 steps of 10 features, then a classifier on the last hidden state."""
    gates, hidden = {"LSTM": 4, "GRU": 3}[cell], 16
    b = Build(17)
    x = b.input("series", [6, "batch", 10])
    w, r = b.weight(1, gates * hidden, 10, gain=3.0), b.weight(1, gates * hidden, hidden, gain=3.0)
    extra: dict[str, Any] = {"linear_before_reset": 1} if cell == "GRU" else {}
    made = b.node(cell, x, w, r, b.weight(1, 2 * gates * hidden, gain=0.1), hidden_size=hidden,
                  outputs=3 if cell == "LSTM" else 2, **extra)  # fmt: skip
    last = b.unsqueeze(made[1], [0], "Squeeze")
    b.output(b.node("Gemm", last, b.weight(4, hidden), b.weight(4), transB=1), ["batch", 4])
    return b.model()


def transposed() -> Model:
    """An encoder and decoder: a strided convolution, then a transposed one, and the skip added."""
    b, x = _stem()
    y = b.node("Relu", conv(b, x, 8, 16, stride=2))
    w = b.constant(b.rng.standard_normal((16, 8, 2, 2)) / 8, "w", _F)
    y = b.node("ConvTranspose", y, w, b.weight(8, gain=0.1), kernel_shape=[2, 2], strides=[2, 2])
    b.output(conv(b, b.node("Relu", b.node("Add", x, y)), 8, 2, kernel=1), ["batch", 2, 12, 12])
    return b.model()


def shared_weight() -> Model:
    """One convolution weight used by two nodes, and one matrix by a MatMul and a transposed Gemm."""
    b, x = _stem()
    w = b.weight(8, 8, 3, 3)
    x = b.node("Relu", b.node("Conv", x, w, pads=[1] * 4, kernel_shape=[3, 3]))
    x = b.node("Relu", b.node("Conv", x, w, pads=[1] * 4, kernel_shape=[3, 3]))
    v = b.node("Flatten", b.node("GlobalAveragePool", x))
    matrix = b.weight(8, 8)
    y = b.node("Gemm", b.node("Relu", b.node("MatMul", v, matrix)), matrix, transB=1)
    b.output(y, ["batch", 8])
    return b.model()


def squeeze_excite() -> Model:
    """A depthwise convolution whose channels are gated by a squeeze-and-excite branch, HardSwish around."""
    b, x = _stem(channels=16)
    x = b.hard_swish(conv(b, x, 16, 16, groups=16))
    s = b.node("Relu", conv(b, b.node("GlobalAveragePool", x), 16, 4, kernel=1))
    gate = b.node("HardSigmoid", conv(b, s, 4, 16, kernel=1), alpha=1 / 6, beta=0.5)
    head(b, b.hard_swish(conv(b, b.node("Mul", x, gate), 16, 16, kernel=1)), 16)
    return b.model()


def mlp(width: int = 64) -> Model:
    """Gemm and MatMul layers with every spelling: transposed or not, alpha and beta, a bias of each shape."""
    b = Build(13)
    x = b.input("features", ["batch", 20])
    x = b.node("Relu", b.node("Gemm", x, b.weight(width, 20), b.weight(width, gain=0.1), transB=1))
    x = b.node("Relu", b.node("Gemm", x, b.weight(width, width), b.weight(1, width), alpha=0.5, beta=2.0))
    x = b.node("Relu", linear(b, x, width, width))
    x = b.node("Relu", b.node("Gemm", x, b.weight(width, width), b.constant(0.25, "bias", _F)))
    b.output(b.node("Softmax", b.node("Gemm", x, b.weight(4, width), transB=1), axis=-1), ["batch", 4])
    return b.model()


def embedding() -> Model:
    """Token ids through a table, averaged, classified: an integer input and a Gather of weights."""
    b = Build(17)
    ids = b.input("ids", ["batch", 7], "int64")
    x = b.node("Gather", b.weight(50, 32, gain=4.0), ids, axis=0)
    x = b.reduce("ReduceMean", b.node("Tanh", linear(b, x, 32, 32)), [1], keep=False)
    b.output(linear(b, x, 32, 3), ["batch", 3])
    return b.model()


def conditional() -> Model:
    """An If whose branches read the outer graph and hold weights of their own; convolution before, Gemm after."""
    b, x = _stem()
    v = b.node("Flatten", b.node("GlobalAveragePool", x))
    total = b.node("Greater", b.reduce("ReduceSum", v, [0, 1], keep=False), b.constant(0.0, "zero", _F))
    branches = []
    for seed in (1, 2):
        inner = Build(17, seed)
        inner._count = 1000 * seed
        made = inner.node("Gemm", v, inner.weight(8, 8), transB=1)
        inner.output(made, ["batch", 8])
        branches.append(inner.graph(f"branch{seed}"))
    y = b.node("If", total, then_branch=branches[0], else_branch=branches[1])
    b.output(b.node("Gemm", b.node("Relu", y), b.weight(4, 8), transB=1), ["batch", 4])
    return b.model()


def shapes() -> Model:
    """A Reshape fed by a Shape, Gather, Unsqueeze, Concat chain over a dynamic batch, as torch's tracer writes it."""
    b, x = _stem(opset=13)
    size = b.node("Gather", b.node("Shape", x), b.constant(0, "zero", np.int64), axis=0)
    target = b.node("Concat", b.unsqueeze(size, [0]), b.constant([-1], "rest", np.int64), axis=0)
    y = b.node("Reshape", x, target)
    b.output(b.node("Gemm", y, b.weight(4, 8 * 12 * 12), transB=1), ["batch", 4])
    return b.model()


def signal() -> Model:
    """1-D convolutions with dilation, batch normalisation, average pooling and an unfolded scale: a sensor's model."""
    b = Build(11)
    x = b.input("signal", [1, 2, 64])
    x = b.node("Conv", x, b.weight(8, 2, 5), kernel_shape=[5], pads=[4, 4], dilations=[2])
    x = b.node("Relu", b.batch_norm(x, 8))
    x = b.node("Mul", x, b.constant(b.rng.uniform(0.5, 2, (1, 8, 1)), "scale", _F))
    x = b.node("AveragePool", x, kernel_shape=[2], strides=[2])
    x = b.node("LeakyRelu", b.node("Conv", x, b.weight(8, 4, 3), kernel_shape=[3], group=2), alpha=0.1)
    x = b.node("Flatten", b.node("GlobalMaxPool", x))
    b.output(b.node("Sigmoid", b.node("Gemm", x, b.weight(8, 1), b.weight(1))), [1, 1])
    return b.model()


def volume() -> Model:
    """A 3-D convolution, with Constant nodes for weights."""
    b = Build(12, constants="node")
    x = b.input("volume", ["batch", 1, 6, 6, 6])
    x = b.node("Relu", b.node("Conv", x, b.weight(4, 1, 3, 3, 3), b.weight(4), kernel_shape=[3] * 3, strides=[2] * 3))
    b.output(b.node("MatMul", b.node("Flatten", x), b.weight(32, 3)), ["batch", 3])
    return b.model()


def old_style() -> Model:
    """IR version 3: initialisers are inputs too; a dead branch, an unused weight, an Identity and stale shapes."""
    b = Build(11, constants="input")
    x = b.input("image", ["batch", 3, 8, 8])
    y = b.node("Relu", conv(b, x, 3, 8))
    b.node("Sigmoid", conv(b, y, 8, 8))
    b.weight(64, 64, hint="unused")
    head(b, b.node("Identity", y), 8)
    return b.model()


def several() -> Model:
    """Two inputs and three outputs, one of them in the middle of the graph and one of integers."""
    b = Build(15)
    left, right = b.input("left", ["batch", 16]), b.input("right", ["batch", 16])
    hidden = b.node("Relu", b.node("Add", linear(b, left, 16, 16), linear(b, right, 16, 16)))
    scores = linear(b, hidden, 16, 4)
    b.output(hidden, ["batch", 16])
    b.output(scores, ["batch", 4])
    b.output(b.node("ArgMax", scores, axis=1, keepdims=0), ["batch"], "int64")
    return b.model()


def odd() -> Model:
    """A scalar output, a tensor of zero elements that is concatenated, and a MatMul of vectors."""
    b = Build(13)
    x = b.input("vector", [6])
    i = {k: b.constant([k], "i", np.int64) for k in (0, 3)}
    empty = b.node("Slice", x, i[3], i[3], i[0])
    y = b.node("MatMul", b.node("Concat", empty, x, axis=0), b.weight(6, 6))
    b.output(b.node("MatMul", y, b.weight(6)), [])
    return b.model()


_ZOO: dict[str, Callable[[], Model]] = {
    "residual": residual,
    "depthwise": depthwise,
    "attention": attention,
    "inception": inception,
    "lstm": recurrent,
    "gru": lambda: recurrent("GRU"),
    "transposed": transposed,
    "shared_weight": shared_weight,
    "squeeze_excite": squeeze_excite,
    "mlp": mlp,
    "embedding": embedding,
    "conditional": conditional,
    "shapes": shapes,
    "signal": signal,
    "volume": volume,
    "old_style": old_style,
    "several": several,
    "odd": odd,
}


def zoo() -> Mapping[str, Callable[[], Model]]:
    """Name -> a function that makes the model."""
    return MappingProxyType(_ZOO)
