"""Products of 8-bit numbers in a quantized graph, laid out as an x86 kernel reads them.

Activations are unsigned there: signed ones are moved up by 128 first, by ONNX Runtime's QDQS8ToU8Transformer as well as
by oneDNN's compensation. The order along K is (kernel position, channel), in which ONNX Runtime packs its filters
(MLAS, ReorderFilter: from MCK to KCM). oneDNN packs fours of channels of one kernel position, filled up with zeros: the
same pairs where channels come in fours. That is what its AVX2 kernels answer; its AVX-512 kernels without VNNI take the
few channels of a first layer in yet another order.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from edgewright.compression.pruning.layers import Layer, attribute
from edgewright.compression.pruning.rows import pads
from edgewright.graphs.graph import constant

_FUSED = frozenset(
    {"QLinearConv", "QLinearMatMul", "QGemm", "MatMulIntegerToFloat", "DynamicQuantizeMatMul", "DynamicQuantizeLSTM",
     "QAttention"}
)  # fmt: skip
"""Operators that multiply integers inside; their sums are not seen from outside."""


@dataclass(frozen=True, eq=False)
class Product:
    """A Conv, Gemm or MatMul of 8-bit activations by constant signed 8-bit weights.

    ``weights``: (groups, K, channels of a group) int8. ``factor`` (channels,): what one unit of the 32-bit sum is worth
    in the node's output. ``scale``: of the activations where they arrive as floats, None where they are integers.
    ``zero``: what padding holds, as unsigned. ``shift``: 128 where the activations are signed. ``filled``: channels of
    zeros at each kernel position.
    """

    node: ir.Node
    weights: NDArray[np.int8]
    factor: NDArray[np.float64]
    scale: float | None
    zero: int
    shift: int
    filled: int = 0

    @property
    def data(self) -> str:
        """The name of what it reads."""
        return str(self.node.inputs[0].name)  # type: ignore[union-attr]

    @property
    def spatial(self) -> bool:
        """Whether it slides over positions."""
        return self.node.op_type in ("Conv", "ConvInteger")

    @property
    def channels(self) -> int:
        """Activations of one position that are multiplied by one group's weights."""
        taps = prod(self.kernel) if self.spatial else 1
        return int(self.weights.shape[1] // taps) - self.filled

    @property
    def kernel(self) -> tuple[int, ...]:
        """Spatial sizes of the filter."""
        return tuple(constant_of(self.node.inputs[1]).shape[2:])

    def rows(self, chunk: NDArray[Any]) -> Iterator[NDArray[np.uint8]]:
        """What is multiplied: for each sample (positions, groups, K), unsigned. Products give all samples at once."""
        levels = self._levels(chunk)
        if not self.spatial:
            yield levels.reshape(-1, 1, levels.shape[-1])
            return
        for sample in levels:
            yield self._unrolled(sample)

    def shaped(self, lost: list[NDArray[Any]], output: NDArray[Any]) -> NDArray[np.float64]:
        """Integers lost, (positions, channels) a sample, in the shape and unit of ``output``."""
        if not self.spatial:
            return (lost[0] * self.factor).reshape(output.shape)
        made = [np.moveaxis((part * self.factor).reshape(*output.shape[2:], -1), -1, 0) for part in lost]
        return np.stack(made)

    def _levels(self, chunk: NDArray[Any]) -> NDArray[np.uint8]:
        if self.scale is None:
            moved: NDArray[np.uint8] = (chunk.astype(np.int16) + self.shift).astype(np.uint8)
            return moved
        # A dequantized value is (level - zero point) x scale in float32: dividing gives the level to within rounding.
        levels: NDArray[np.uint8] = np.clip(np.rint(chunk / self.scale) + self.zero, 0, 255).astype(np.uint8)
        return levels

    def _unrolled(self, sample: NDArray[np.uint8]) -> NDArray[np.uint8]:
        kernel = self.kernel
        rank = len(kernel)
        strides = list(attribute(self.node, "strides", [1] * rank))
        dilations = list(attribute(self.node, "dilations", [1] * rank))
        around = pads(Layer(self.node, "conv", 0, 0), sample.shape[1:], kernel, strides, dilations)
        padded = np.pad(sample, [(0, 0), *around], constant_values=self.zero)
        reach = tuple((k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True))
        windows = sliding_window_view(padded, reach, axis=tuple(range(1, 1 + rank)))
        windows = windows[(slice(None), *(slice(None, None, s) for s in (*strides, *dilations)))]
        groups = self.weights.shape[0]
        split = windows.reshape(groups, -1, prod(windows.shape[1 : 1 + rank]), prod(kernel))  # (g, C, positions, taps)
        ordered = np.pad(split.transpose(2, 0, 3, 1), [(0, 0), (0, 0), (0, 0), (0, self.filled)])
        laid: NDArray[np.uint8] = ordered.reshape(split.shape[2], groups, -1)
        return laid


def constant_of(value: ir.Value | None) -> NDArray[Any]:
    """The constant integers behind ``value``, or behind the DequantizeLinear that makes it."""
    found = constant(value)
    if found is None and value is not None and (node := value.producer()) is not None:
        found = constant(node.inputs[0])
    return np.asarray(found)


def product(node: ir.Node, values: Mapping[str, list[NDArray[Any]]], *, fours: bool = False) -> Product | None:
    """``node`` as a product, or None: floats, unsigned weights, or an operator whose kernels are exact.

    ``values`` holds what the graph computes, for zero points that only the run knows. ``fours``: whether channels are
    packed in fours, as oneDNN does. Depthwise convolutions are exact: both engines widen their numbers before
    multiplying (MLAS, MlasConvSymDepthwiseKernelAvx2: vpmovzxbd).
    """
    if node.domain not in ("", "ai.onnx") or len(node.inputs) < 2:
        return None
    if node.op_type in ("Conv", "Gemm", "MatMul"):
        found = _dequantized(node)
    elif node.op_type in ("ConvInteger", "MatMulInteger"):
        found = _integer(node, values)
    else:
        return None
    return _in_fours(found) if fours and found is not None and found.spatial else found


def _in_fours(found: Product) -> Product:
    filled = -found.channels % 4
    groups, depth, outputs = found.weights.shape
    parts = found.weights.reshape(groups, depth // found.channels, found.channels, outputs)
    laid = np.pad(parts, [(0, 0), (0, 0), (0, filled), (0, 0)]).reshape(groups, -1, outputs)
    return replace(found, weights=laid, filled=filled)


def unseen(graph: ir.Graph) -> list[str]:
    """Nodes that multiply 8-bit numbers in a way that cannot be followed from outside, by operator type."""
    found = []
    for node in graph:
        second = node.inputs[1] if len(node.inputs) > 1 else None
        maker = None if second is None else second.producer()
        if node.op_type in _FUSED:
            found.append(node.op_type)
        elif (
            node.op_type == "MatMul" and maker is not None and maker.op_type == "DequantizeLinear"
            and constant(maker.inputs[0]) is None and _zero_of(maker).dtype == np.int8
            and _pair(node.inputs[0]) is not None
        ):  # fmt: skip
            found.append("MatMul of two activations")
    return found


def _dequantized(node: ir.Node) -> Product | None:
    data, held = _pair(node.inputs[0]), node.inputs[1]
    maker = None if held is None else held.producer()
    if data is None or maker is None or maker.op_type != "DequantizeLinear":
        return None
    weight, steps = constant(maker.inputs[0]), constant(maker.inputs[1])
    if weight is None or steps is None or weight.dtype != np.int8 or attribute(node, "transA", 0):
        return None
    zero, scale = data
    laid = _lay(node, weight)
    if laid is None:
        return None
    alpha = float(attribute(node, "alpha", 1.0)) if node.op_type == "Gemm" else 1.0
    channels = laid.shape[0] * laid.shape[2]
    steps = np.asarray(steps, np.float64).ravel()
    if steps.size not in (1, channels):
        return None
    factor = np.broadcast_to(steps * scale * alpha, (channels,))
    shift = 128 if zero.dtype == np.int8 else 0
    return Product(node, laid, factor, scale, int(zero) + shift, shift)


def _integer(node: ir.Node, values: Mapping[str, list[NDArray[Any]]]) -> Product | None:
    weight = constant(node.inputs[1])
    data = values.get(str(node.inputs[0].name)) if node.inputs[0] is not None else None
    if weight is None or weight.dtype != np.int8 or not data or data[0].dtype not in (np.uint8, np.int8):
        return None
    laid = _lay(node, weight)
    if laid is None:
        return None
    shift = 128 if data[0].dtype == np.int8 else 0
    point = node.inputs[2] if len(node.inputs) > 2 else None
    held = constant(point)
    if held is None and point is not None:
        # One zero point for a whole run: the first batch's stands for all, it only fills the border.
        held = values[str(point.name)][0]
    zero = 0 if held is None else int(np.asarray(held).ravel()[0])
    return Product(node, laid, np.ones(laid.shape[0] * laid.shape[2]), None, zero + shift, shift)


def _lay(node: ir.Node, weight: NDArray[np.int8]) -> NDArray[np.int8] | None:
    """The weight as (groups, K, channels of a group); None where the kernel is exact or the shape unusual."""
    if node.op_type in ("Conv", "ConvInteger"):
        groups = int(attribute(node, "group", 1))
        if weight.ndim < 3 or (groups > 1 and weight.shape[0] == groups and weight.shape[1] == 1):
            return None
        parts = weight.reshape(groups, weight.shape[0] // groups, weight.shape[1], -1)  # (g, N, C, taps)
        ordered: NDArray[np.int8] = parts.transpose(0, 3, 2, 1).reshape(groups, -1, parts.shape[1])
        return ordered
    if weight.ndim != 2:
        return None
    return (weight.T if node.op_type == "Gemm" and attribute(node, "transB", 0) else weight)[None]


def _pair(value: ir.Value | None) -> tuple[NDArray[Any], float] | None:
    """Zero point and scale of a value that was dequantized as a whole; None for any other."""
    maker = None if value is None else value.producer()
    if maker is None or maker.op_type != "DequantizeLinear":
        return None
    scale, zero = constant(maker.inputs[1]), _zero_of(maker)
    if scale is None or np.size(scale) != 1 or zero.size != 1 or zero.dtype not in (np.uint8, np.int8):
        return None
    return zero.reshape(()), float(np.asarray(scale).ravel()[0])


def _zero_of(maker: ir.Node) -> NDArray[Any]:
    zero = constant(maker.inputs[2]) if len(maker.inputs) > 2 else None
    return np.zeros((), np.uint8) if zero is None else np.asarray(zero)
