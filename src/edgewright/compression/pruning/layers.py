"""Layers: the nodes that multiply by constant weights, seen as one matrix each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from edgewright.graphs.graph import constant

Kind = Literal["conv", "depthwise", "grouped", "gemm", "matmul"]
Matrix = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Layer:
    """A Conv, Gemm or MatMul. ``bias_node`` is the Add of a constant vector behind a MatMul, if there is one."""

    node: ir.Node
    kind: Kind
    inputs: int
    """Channels read."""
    outputs: int
    """Channels written."""
    bias_node: ir.Node | None = None

    @property
    def data(self) -> ir.Value:
        """What it reads."""
        value = self.node.inputs[0]
        assert value is not None  # noqa: S101 - as_layer has looked
        return value

    @property
    def weight(self) -> ir.Value:
        """The constant it multiplies by."""
        value = self.node.inputs[1]
        assert value is not None  # noqa: S101 - as_layer has looked
        return value

    @property
    def output(self) -> ir.Value:
        """What it writes, the bias included."""
        return (self.bias_node or self.node).outputs[0]

    @property
    def taps(self) -> int:
        """Weights per pair of channels: 9 for a 3x3 convolution."""
        shape = constant(self.weight).shape
        return int(np.prod(shape[2:])) if self.kind in ("conv", "depthwise", "grouped") else 1

    @property
    def transposed(self) -> bool:
        """Whether the weight is stored (inputs, outputs)."""
        if self.kind == "matmul":
            return True
        return self.kind == "gemm" and not attribute(self.node, "transB", 0)

    def array(self) -> NDArray[Any]:
        """The weight as (outputs, inputs) or (outputs, inputs / group, *kernel), in its own dtype."""
        stored: NDArray[Any] = constant(self.weight)
        return stored.T if self.transposed else stored

    def bias(self) -> Matrix | None:
        """The bias as (outputs,), or None where there is none to be had or to be set."""
        if self.kind == "matmul":
            if self.bias_node is None:
                return None
            held = next(v for v in self.bias_node.inputs if constant(v) is not None)
            return np.broadcast_to(constant(held).astype(np.float64).ravel(), (self.outputs,)).copy()
        if len(self.node.inputs) > 2 and self.node.inputs[2] is not None:
            stored = constant(self.node.inputs[2]).astype(np.float64).ravel()
            return np.broadcast_to(stored, (self.outputs,)).copy()
        return np.zeros(self.outputs)


def attribute(node: ir.Node, name: str, default: Any) -> Any:
    """An attribute's value or the default."""
    found = node.attributes.get(name)
    return default if found is None else found.value


def as_layer(node: ir.Node) -> Layer | None:
    """``node`` as a layer, or None: another operator, weights not constant float32, unusual attributes."""
    if node.op_type not in ("Conv", "Gemm", "MatMul") or node.domain not in ("", "ai.onnx") or len(node.inputs) < 2:
        return None
    array = constant(node.inputs[1])
    if array is None or array.dtype != np.float32 or array.size == 0 or constant(node.inputs[0]) is not None:
        return None
    bias = node.inputs[2] if len(node.inputs) > 2 else None
    if bias is not None and constant(bias) is None:
        return None
    if node.op_type == "Conv":
        group = int(attribute(node, "group", 1))
        outputs, inputs = array.shape[0], array.shape[1] * group
        kind: Kind = "conv" if group == 1 else "depthwise" if group == inputs else "grouped"
        return Layer(node, kind, inputs, outputs)
    if array.ndim != 2:
        return None
    if node.op_type == "Gemm":
        plain = attribute(node, "alpha", 1.0) == 1.0 and attribute(node, "beta", 1.0) == 1.0
        if not plain or attribute(node, "transA", 0):
            return None
        outputs, inputs = array.shape if attribute(node, "transB", 0) else array.shape[::-1]
        if bias is not None and constant(bias).size not in (1, outputs):
            return None
        return Layer(node, "gemm", inputs, outputs)
    return Layer(node, "matmul", array.shape[0], array.shape[1], _bias_add(node, array.shape[1]))


def _bias_add(node: ir.Node, outputs: int) -> ir.Node | None:
    readers = node.outputs[0].consumers()
    if len(readers) != 1 or readers[0].op_type != "Add" or node.outputs[0].is_graph_output():
        return None
    other = next((v for v in readers[0].inputs if v is not node.outputs[0]), None)
    array = constant(other)
    if array is None or array.shape[-1:] != (outputs,) or array.size != outputs:
        return None
    return readers[0]
