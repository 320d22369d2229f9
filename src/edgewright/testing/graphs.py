"""Random valid ONNX graphs for property tests, and the handwritten zoo beside them.

``models()`` draws a graph block by block: what is current is an image (N, C, spatial...), a sequence (N, T, D) or a
vector (N, D), and each block turns one into another. Weights come from a drawn seed, so examples shrink to few blocks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy
from numpy.typing import NDArray

from edgewright.core.model import Dimension, Model
from edgewright.testing.build import Build, Drawn, draw_array, initializer_arrays, op_types
from edgewright.testing.zoo import encoder_block, linear, zoo

_F = np.float32
Kinds = Sequence[str]


@dataclass
class Current:
    """What the next block reads: a value's name, its sizes behind the batch, and what they mean."""

    b: Build
    draw: DrawFn
    x: str
    shape: tuple[int, ...]
    kind: str

    def pick(self, *choices: Any) -> Any:
        """One of ``choices``; examples shrink towards the first."""
        return self.draw(st.sampled_from(choices))

    def to(self, x: str, *shape: int, kind: str = "") -> None:
        """Move on to ``x``."""
        self.x, self.shape, self.kind = x, shape, kind or self.kind


def models(
    kinds: Kinds = ("image", "sequence", "vector"), blocks: int = 4
) -> SearchStrategy[tuple[Model, dict[str, NDArray[Any]]]]:
    """Strategy for (model, inputs that fit it), the model starting from one of ``kinds``, ``blocks`` long at most."""
    return _models(tuple(kinds), blocks)


@st.composite
def _models(draw: DrawFn, kinds: tuple[str, ...], blocks: int) -> tuple[Model, dict[str, NDArray[Any]]]:
    opset = draw(st.integers(11, 21))
    constants = draw(st.sampled_from(["initializer", "initializer", "node", "input"]))
    b = Build(opset, draw(st.integers(0, 2**16)), constants)
    kind = draw(st.sampled_from(kinds))
    batches: list[Dimension] = ["batch", 1, 2]
    batch = draw(st.sampled_from(batches))
    shape = draw(_SHAPES[kind])
    now = Current(b, draw, b.input("x", [batch, *shape]), shape, kind)
    for _ in range(draw(st.integers(1, blocks))):
        _block(now)
    if draw(st.booleans()):
        middle = now.x
        _block(now)
        if middle not in (now.x, "x"):
            b.output(middle)
    if draw(st.booleans()):
        _finish(now)
    if now.x == "x":
        now.x = b.node("Relu", "x")
    if draw(st.integers(0, 4)) == 4:
        b.node("Tanh", b.node("MatMul", b.weight(4, 4, hint="dead"), b.weight(4, 4)))  # no output needs it
    b.output(now.x)
    model = b.model()
    rng = np.random.default_rng(draw(st.integers(0, 2**16)))
    sizes = {"batch": draw(st.integers(1, 3))}
    return model, {s.name: draw_array(s.dtype, s.shape, rng, sizes) for s in model.signature.inputs}


_SHAPES: dict[str, SearchStrategy[tuple[int, ...]]] = {
    "image": st.one_of(
        st.tuples(st.sampled_from([4, 3, 1, 8]), st.integers(5, 9), st.integers(5, 9)),
        st.tuples(st.sampled_from([4, 2]), st.integers(8, 24)),
        st.tuples(st.sampled_from([2, 1]), st.integers(4, 5), st.integers(4, 5), st.integers(4, 5)),
    ),
    "sequence": st.tuples(st.integers(1, 6), st.sampled_from([8, 16, 12])),
    "vector": st.tuples(st.sampled_from([8, 16, 5, 33])),
}


def _block(now: Current) -> None:
    blocks = {"image": IMAGE, "sequence": SEQUENCE, "vector": VECTOR}[now.kind]
    now.draw(st.sampled_from(blocks))(now)


def _finish(now: Current) -> None:
    """To class scores."""
    if now.kind != "vector":
        flatten(now)
    gemm(now)
    if now.pick(True, False):
        now.x = now.b.node("Softmax", now.x, axis=-1)


# Images: (C, spatial...)


def convolve(now: Current) -> None:
    """Conv: any kernel, stride, dilation, groups, padding that fits; with or without a bias."""
    inside, *space = now.shape
    rank = len(space)
    groups = now.pick(*[g for g in (1, 2, inside) if inside % g == 0])
    outside = groups * now.pick(*([4, 1, 6] if groups < inside else [1, 2]))
    kernel, dilation = now.pick(3, 1, 2), now.pick(1, 2)
    reach = dilation * (kernel - 1)
    stride = now.pick(1, 2)
    pads = now.pick("same", "some", "auto") if min(space) > reach else "same"
    attributes: dict[str, Any] = {"kernel_shape": [kernel] * rank, "strides": [stride] * rank, "group": groups}
    if pads == "auto" and dilation == 1:
        attributes["auto_pad"] = "SAME_UPPER"
        sizes = [-(-s // stride) for s in space]
    else:
        before, after = (reach // 2, reach - reach // 2) if pads == "same" else (0, 1)
        attributes |= {"pads": [before] * rank + [after] * rank, "dilations": [dilation] * rank}
        sizes = [(s + before + after - reach - 1) // stride + 1 for s in space]
    held = [now.b.weight(outside, inside // groups, *[kernel] * rank)]
    if now.pick(True, False):
        held.append(now.b.weight(outside, gain=0.3))
    now.to(now.b.node("Conv", now.x, *held, **attributes), outside, *sizes)
    if now.pick(True, False):
        normalise(now)
    if now.pick(True, False):
        activate(now)


def normalise(now: Current) -> None:
    """BatchNormalization, or the Mul and Add it becomes."""
    channels = now.shape[0]
    if now.pick(True, False):
        now.x = now.b.batch_norm(now.x, channels)
    else:
        side = (channels, *[1] * (len(now.shape) - 1))
        now.x = now.b.node("Mul", now.x, now.b.constant(now.b.rng.uniform(0.5, 1.5, side), "scale", _F))
        now.x = now.b.node("Add", now.x, now.b.constant(now.b.rng.uniform(-0.5, 0.5, side), "shift", _F))


def activate(now: Current) -> None:
    """Any activation."""
    b, x = now.b, now.x
    kind = now.pick("Relu", "Clip", "Sigmoid", "HardSwish", "LeakyRelu", "Tanh", "Silu", "HalfClip", "Elu")
    if kind == "HardSwish":
        now.x = b.hard_swish(x)
    elif kind == "Silu":
        now.x = b.node("Mul", x, b.node("Sigmoid", x))
    elif kind == "Clip":
        now.x = b.node("Clip", x, b.constant(0.0, "low", _F), b.constant(6.0, "high", _F))
    elif kind == "HalfClip":
        now.x = b.node("Clip", x, "", b.constant(1.0, "high", _F))
    else:
        now.x = b.node(kind, x)


def residual(now: Current) -> None:
    """A branch that keeps the shape, added to where it left."""
    start, channels = now.x, now.shape[0]
    w = now.b.weight(channels, channels, *[3] * (len(now.shape) - 1))
    y = now.b.node("Conv", start, w, auto_pad="SAME_UPPER")
    y = now.b.batch_norm(y, channels) if now.pick(True, False) else now.b.node("Relu", y)
    now.x = now.b.node("Add", *now.pick((y, start), (start, y)))


def branch(now: Current) -> None:
    """Two 1x1 convolutions, concatenated, maybe split again and one part dropped."""
    start, (inside, *space) = now.x, now.shape
    widths = (now.pick(4, 3), now.pick(4, 8))
    parts = [now.b.node("Conv", start, now.b.weight(w, inside, *[1] * len(space))) for w in widths]
    x = now.b.node("Concat", *parts, axis=now.pick(1, -len(now.shape)))
    now.to(x, sum(widths), *space)
    if now.pick(False, True):
        first, rest = now.b.split(x, [2, sum(widths) - 2], 1)
        now.to(*now.pick((rest, sum(widths) - 2, *space), (first, 2, *space)))


def pool(now: Current) -> None:
    """A pooling that leaves something."""
    inside, *space = now.shape
    if min(space) < 2:
        return activate(now)
    rank = len(space)
    op = now.pick("MaxPool", "AveragePool")
    extra = {"count_include_pad": now.pick(0, 1)} if op == "AveragePool" else {}
    x = now.b.node(op, now.x, kernel_shape=[2] * rank, strides=[2] * rank, pads=[0] * 2 * rank, **extra)
    now.to(x, inside, *[(s - 2) // 2 + 1 for s in space])
    return None


def gate(now: Current) -> None:
    """Squeeze and excite."""
    channels, rank = now.shape[0], len(now.shape) - 1
    s = now.b.reduce("ReduceMean", now.x, list(range(2, 2 + rank)))
    s = now.b.node("Conv", s, now.b.weight(channels, channels, *[1] * rank))
    now.x = now.b.node("Mul", now.x, now.b.node("Sigmoid", s))


def shuffle(now: Current) -> None:
    """Channel shuffle by Reshape, Transpose, Reshape."""
    channels, *space = now.shape
    if channels % 2:
        return activate(now)
    y = now.b.reshape(now.x, [0, 2, channels // 2, *space])
    y = now.b.node("Transpose", y, perm=[0, 2, 1, *range(3, 3 + len(space))])
    now.x = now.b.reshape(y, [0, channels, *space])
    return None


def shared(now: Current) -> None:
    """One weight, two convolutions."""
    channels = now.shape[0]
    w = now.b.weight(channels, channels, *[3] * (len(now.shape) - 1))
    for _ in range(2):
        now.x = now.b.node("Relu", now.b.node("Conv", now.x, w, auto_pad="SAME_LOWER"))


def enlarge(now: Current) -> None:
    """A transposed convolution of stride 2."""
    inside, *space = now.shape
    if np.prod(space) > 200:
        return activate(now)
    rank = len(space)
    w = now.b.constant(now.b.rng.standard_normal((inside, 3, *[2] * rank)) / inside, "w", _F)
    x = now.b.node("ConvTranspose", now.x, w, strides=[2] * rank, kernel_shape=[2] * rank)
    now.to(x, 3, *[2 * s for s in space])
    return None


def pad(now: Current) -> None:
    """Constant padding outside the convolution."""
    channels, *space = now.shape
    sizes = [0, 0, *[1] * len(space)] * 2
    x = now.b.node("Pad", now.x, now.b.constant(sizes, "pads", np.int64))
    now.to(x, channels, *[s + 2 for s in space])


def flatten(now: Current) -> None:
    """To a vector: pooled, flattened, or reshaped."""
    channels, *rest = now.shape
    size = int(np.prod(now.shape))
    how = now.pick("pool", "flatten", "reshape", "mean")
    if how == "pool":
        y = now.b.node("Flatten", now.b.node("GlobalAveragePool", now.x))
        return now.to(y, channels, kind="vector")
    if how == "mean":
        axes = list(range(2, 2 + len(rest)))
        return now.to(now.b.reduce("ReduceMean", now.x, axes, keep=False), channels, kind="vector")
    y = now.b.node("Flatten", now.x, axis=1) if how == "flatten" else now.b.reshape(now.x, [-1, size])
    return now.to(y, size, kind="vector")


def tokens(now: Current) -> None:
    """An image's pixels as a sequence, as in a ViT."""
    channels, *space = now.shape
    count = int(np.prod(space))
    y = now.b.reshape(now.x, [0, channels, count])
    now.to(now.b.node("Transpose", y, perm=[0, 2, 1]), count, channels, kind="sequence")


# Sequences: (T, D)


def project(now: Current) -> None:
    """MatMul over the last axis, with or without the Add of a bias."""
    *rest, inside = now.shape
    outside = now.pick(8, 16, 3)
    now.to(linear(now.b, now.x, inside, outside, now.pick(True, False)), *rest, outside)


def norm(now: Current) -> None:
    """Layer normalisation, decomposed or not."""
    now.x = now.b.layer_norm(now.x, now.shape[-1], whole=now.pick(False, True))


def feed_forward(now: Current) -> None:
    """Linear, Gelu in either spelling, linear, residual."""
    width = now.shape[-1]
    hidden = now.b.gelu(linear(now.b, now.x, width, 2 * width), now.pick(False, True))
    now.x = now.b.node("Add", now.x, linear(now.b, hidden, 2 * width, width))


def attend(now: Current) -> None:
    """A whole encoder block where the sizes allow it, else the attention of the sequence to itself."""
    count, width = now.shape
    if width % 2 == 0:
        now.x = encoder_block(now.b, now.x, count, width, 2)
    else:
        scores = now.b.node("MatMul", now.x, now.b.node("Transpose", now.x, perm=[0, 2, 1]))
        now.x = now.b.node("MatMul", now.b.node("Softmax", scores, axis=-1), now.x)


def recur(now: Current) -> None:
    """LSTM or GRU over time."""
    (count, inside), cell = now.shape, now.pick("LSTM", "GRU")
    gates, hidden = {"LSTM": 4, "GRU": 3}[cell], 6
    y = now.b.node("Transpose", now.x, perm=[1, 0, 2])
    held = [now.b.weight(1, gates * hidden, n) for n in (inside, hidden)]
    made, *_ = now.b.node(cell, y, *held, now.b.weight(1, 2 * gates * hidden), hidden_size=hidden, outputs=2)
    y = now.b.node("Transpose", now.b.unsqueeze(made, [1], "Squeeze"), perm=[1, 0, 2])
    now.to(y, count, hidden)


def average(now: Current) -> None:
    """Mean over time: a vector."""
    now.to(now.b.reduce("ReduceMean", now.x, [1], keep=False), now.shape[-1], kind="vector")


def nothing(now: Current) -> None:
    """A slice of no elements, concatenated back: zero-size tensors."""
    zero, axis = now.b.constant([0], "zero", np.int64), now.b.constant([1], "axis", np.int64)
    empty = now.b.node("Slice", now.x, zero, zero, axis)
    now.x = now.b.node("Concat", empty, now.x, axis=1)


# Vectors: (D,)


def gemm(now: Current) -> None:
    """Gemm in every spelling."""
    (inside,), outside = now.shape, now.pick(4, 8, 1)
    trans = now.pick(1, 0)
    w = now.b.weight(outside, inside) if trans else now.b.weight(inside, outside)
    bias: Callable[[], list[str]] = now.pick(
        lambda: [now.b.weight(outside)],
        list,
        lambda: [now.b.weight(1, outside)],
        lambda: [now.b.constant(0.5, "bias", _F)],
    )
    attributes = now.pick({}, {"alpha": 0.5, "beta": 2.0})
    now.to(now.b.node("Gemm", now.x, w, *bias(), transB=trans, **attributes), outside)


def dense(now: Current) -> None:
    """MatMul, Add, activation."""
    project(now)
    activate(now)


def skip(now: Current) -> None:
    """A residual layer."""
    (width,) = now.shape
    now.x = now.b.node("Add", now.x, now.b.node("Relu", linear(now.b, now.x, width, width)))


def choose(now: Current) -> None:
    """An If with one branch that computes and one that passes on."""
    (width,) = now.shape
    total = now.b.reduce("ReduceSum", now.x, [0, 1], keep=False)
    branches = []
    for index, op in enumerate(("Tanh", "Relu")):
        inner = Build(now.b.opset, index, "node" if now.b.constants == "input" else now.b.constants)
        inner._count = 1000 * (index + 1 + len(now.b.nodes))
        inner.output(inner.node(op, inner.node("Gemm", now.x, inner.weight(width, width))), [None, width])
        branches.append(inner.graph(f"branch{index}"))
    true = now.b.node("Greater", total, now.b.constant(0.0, "zero", _F))
    now.x = now.b.node("If", true, then_branch=branches[0], else_branch=branches[1])


def scale(now: Current) -> None:
    """Times a scalar; plus a scalar."""
    now.x = now.b.node("Mul", now.x, now.b.constant(0.5, "scalar", _F))
    now.x = now.b.node("Add", now.b.constant(0.25, "scalar", _F), now.x)


IMAGE: list[Callable[[Current], None]] = [
    convolve, convolve, residual, activate, normalise, branch, pool, gate, shuffle, shared, enlarge, pad, flatten,
    tokens, scale,
]  # fmt: skip
SEQUENCE: list[Callable[[Current], None]] = [
    project, norm, feed_forward, attend, activate, average, recur, nothing, scale,
]  # fmt: skip
VECTOR: list[Callable[[Current], None]] = [dense, gemm, skip, activate, choose, scale]

__all__ = ["Build", "Drawn", "draw_array", "initializer_arrays", "models", "op_types", "zoo"]
