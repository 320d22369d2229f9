"""Write a placement into the graph as QuantizeLinear and DequantizeLinear pairs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from edgewright.compression.quantization.placement import Kernel, Placement
from edgewright.compression.quantization.scheme import (
    Activations,
    Affine,
    affine,
    quantize_weight,
    restore_weight,
    weight_scales,
)
from edgewright.graphs.graph import constant


class Writer:
    """Adds pairs to one graph; equal weights are stored once."""

    def __init__(self, graph: ir.Graph, scales: Mapping[ir.Value, Affine]) -> None:
        self._graph, self._scales = graph, scales
        self._weights: dict[tuple[Any, ...], ir.Value] = {}
        self._count = 0

    def pairs(self, placement: Placement) -> None:
        """A pair behind every quantized activation, read by those that should."""
        for value in placement.quantized:
            readers = [(node, index) for node, index in value.uses()]
            everyone = value in placement.home
            chosen = self._scales[placement.shares.get(value, value)]
            scale, zero = self._store(chosen.scale), self._store(np.array(chosen.zero_point, chosen.dtype))
            quantized = self._node("QuantizeLinear", [value, scale, zero])
            restored = self._node("DequantizeLinear", [quantized, scale, zero])
            for node, index in readers:
                if everyone or node in placement.integer:
                    node.replace_input_with(index, restored)
            if everyone and value.is_graph_output():
                self._take_name(value, restored)

    def constants(self, placement: Placement, activations: Activations) -> None:
        """Constant operands of integer joiners, stored as integers of the activations' type."""
        for value in placement.constants:
            array = constant(value)
            chosen = affine(float(array.min(initial=0.0)), float(array.max(initial=0.0)), activations)
            low, high = chosen.limits
            stored = np.clip(np.rint(array / chosen.scale) + chosen.zero_point, low, high).astype(chosen.dtype)
            restored = self._node(
                "DequantizeLinear",
                [
                    self._store(stored),
                    self._store(chosen.scale),
                    self._store(np.array(chosen.zero_point, chosen.dtype)),
                ],
            )
            for node, index in list(value.uses()):
                if node in placement.integer:
                    node.replace_input_with(index, restored)

    def kernel(self, kernel: Kernel, *, per_channel: bool, bits: int, means: NDArray[np.float64] | None = None) -> None:
        """Weight as int8; with the input's channel ``means``, the bias takes up the weight's error.

        The bias of a product becomes int32. A convolution's stays float: ONNX Runtime (since 1.21) and OpenVINO turn it
        into integers themselves, TensorRT wants it so, and the file goes without a scale for every channel.
        """
        weight = fold_gemm(kernel)
        axis = kernel.weight_axis if per_channel else None
        source = self._scales.get(kernel.data)
        input_scale = 1.0 if source is None else float(source.scale)
        bias = bias_of(kernel, weight)
        scales = weight_scales(weight, axis, bits, bias, input_scale)
        integers = quantize_weight(weight, scales, axis, bits)
        if means is not None and kernel.node.op_type != "MatMul":
            error = weight.astype(np.float64) - restore_weight(integers, scales, axis)
            correction = expected_output(kernel, error, means)
            bias = correction if bias is None else bias + correction
            # The corrected bias may need a wider scale than the one the weights were rounded with.
            if not np.array_equal(weight_scales(weight, axis, bits, bias, input_scale), scales):
                bias = bias - correction
        kernel.node.replace_input_with(1, self._weight(kernel, integers, scales, axis))
        if bias is not None:
            kernel.node.resize_inputs(3)
            kept = self._store(bias.astype(np.float32)) if kernel.node.op_type == "Conv" else None
            kernel.node.replace_input_with(2, kept or self._bias(bias, input_scale, scales))

    def _weight(self, kernel: Kernel, integers: NDArray[Any], scales: NDArray[Any], axis: int | None) -> ir.Value:
        key = (kernel.weight, axis, scales.tobytes(), integers.shape, kernel.node.op_type)
        if key not in self._weights:
            attributes = [] if axis is None else [ir.AttrInt64("axis", axis)]
            stored = [self._store(integers), self._store(scales)]
            if kernel.node.op_type != "Conv":
                # ONNX Runtime fuses a product without its weight's zero point to nothing; a convolution it does fuse.
                stored.append(self._store(np.zeros(scales.shape, np.int8)))
            self._weights[key] = self._node("DequantizeLinear", stored, attributes)
        return self._weights[key]

    def _bias(self, bias: NDArray[np.float64], input_scale: float, scales: NDArray[np.float32]) -> ir.Value:
        steps = (np.float32(input_scale) * scales.astype(np.float32)).astype(np.float32)
        integers = np.clip(np.rint(bias / steps.astype(np.float64)), -(2**31) + 1, 2**31 - 1).astype(np.int32)
        attributes = [ir.AttrInt64("axis", 0)] if steps.ndim else []
        return self._node("DequantizeLinear", [self._store(integers), self._store(steps)], attributes)

    def _node(self, op_type: str, inputs: list[ir.Value], attributes: list[ir.Attr] | None = None) -> ir.Value:
        node = ir.Node("", op_type, inputs, attributes or [], num_outputs=1)
        self._graph.append(node)
        node.outputs[0].name = self._fresh()
        return node.outputs[0]

    def _store(self, array: NDArray[Any] | np.generic) -> ir.Value:
        name = self._fresh()
        value = ir.Value(
            name=name, const_value=ir.tensor(np.ascontiguousarray(array).reshape(np.shape(array)), name=name)
        )
        self._graph.register_initializer(value)
        return value

    def _fresh(self) -> str:
        self._count += 1
        return f"ew.q{self._count}"

    def _take_name(self, value: ir.Value, restored: ir.Value) -> None:
        name, value.name = value.name, self._fresh()
        restored.name, restored.type, restored.shape = name, value.type, value.shape
        for index, output in enumerate(self._graph.outputs):
            if output is value:
                self._graph.outputs[index] = restored


def fold_gemm(kernel: Kernel) -> NDArray[np.float32]:
    """The kernel's weight with Gemm's ``alpha`` folded in; the attributes become the neutral ones."""
    weight: NDArray[np.float32] = constant(kernel.weight)
    if kernel.node.op_type == "Gemm":
        alpha = kernel.node.attributes.pop("alpha", None)
        if kernel.bias is None:
            kernel.node.attributes.pop("beta", None)
        if alpha is not None and alpha.as_float() != 1.0:
            weight = (weight * np.float32(alpha.as_float())).astype(np.float32)
    return weight


def bias_of(kernel: Kernel, weight: NDArray[Any]) -> NDArray[np.float64] | None:
    """The bias as (channels,), Gemm's ``beta`` folded in."""
    if kernel.bias is None:
        return None
    bias = constant(kernel.bias).astype(np.float64).ravel()
    if kernel.node.op_type == "Gemm":
        beta = kernel.node.attributes.pop("beta", None)
        bias = bias * (1.0 if beta is None else beta.as_float())
    channels = weight.shape[kernel.weight_axis]
    return np.broadcast_to(bias, (channels,)).copy()


def expected_output(kernel: Kernel, error: NDArray[Any], means: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean of what ``error``, a difference of weights, adds to each output channel, given the input's channel means.

    Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias Correction", ICCV 2019, section 4.2,
    with means measured instead of derived. Padding's zeros are left out, a bias only of the border.
    """
    if kernel.node.op_type == "Gemm":
        rows = error if kernel.weight_axis == 0 else error.T
        result: NDArray[np.float64] = rows @ means
        return result
    summed = error.reshape(error.shape[0], error.shape[1], -1).sum(axis=2)
    group = error.shape[0] // max(means.size // error.shape[1], 1)
    return np.concatenate(
        [summed[g * group : (g + 1) * group] @ means[g * error.shape[1] : (g + 1) * error.shape[1]]
         for g in range(error.shape[0] // group)]
    )  # fmt: skip
