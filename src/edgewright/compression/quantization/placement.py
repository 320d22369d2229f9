"""Where integers live: which tensors get a QuantizeLinear/DequantizeLinear pair, and who shares whose scale.

The rule follows what engines fuse (ONNX Runtime's QDQ selectors and OpenVINO's low-precision transformations): a
kernel runs on integers when all it reads is dequantized, and, for a convolution, when what it writes is quantized
again after its activation. A tensor whose producer writes integers is *home* in integers: everyone reads it
dequantized. A tensor that stays float (a LayerNormalization's output) is quantized for the kernels that read it only.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import onnx_ir as ir

from edgewright.graphs.graph import constant

JOINERS = frozenset(
    {"Add", "Mul", "Concat", "AveragePool", "GlobalAveragePool", "LeakyRelu", "Sigmoid", "Relu", "Clip"}
)
"""Operators that engines run on integers between convolutions, each input and the output with its own scale."""

MOVERS = frozenset(
    {"MaxPool", "Reshape", "Flatten", "Transpose", "Squeeze", "Unsqueeze", "Slice", "Split", "DepthToSpace",
     "SpaceToDepth", "Identity", "Dropout", "Gather"}
)  # fmt: skip
"""Operators that move values without changing them: the output shares the input's scale."""


@dataclass(frozen=True)
class Kernel:
    """A Conv, Gemm or MatMul that will run on integers. ``weight_axis`` is its output-channel axis."""

    node: ir.Node
    data: ir.Value
    weight: ir.Value
    weight_axis: int
    bias: ir.Value | None
    output: ir.Value
    """What it writes, after a Relu or Clip that falls into the clipping."""


@dataclass
class Placement:
    """The decision. ``home``: values that live as integers. ``demanded``: float values quantized for kernels alone.

    ``shares`` maps a mover's output to the value whose scale it takes; ``integer`` holds every node that reads
    dequantized values.
    """

    kernels: list[Kernel] = field(default_factory=list)
    home: dict[ir.Value, None] = field(default_factory=dict)
    demanded: dict[ir.Value, None] = field(default_factory=dict)
    shares: dict[ir.Value, ir.Value] = field(default_factory=dict)
    integer: set[ir.Node] = field(default_factory=set)
    constants: dict[ir.Value, None] = field(default_factory=dict)

    @property
    def quantized(self) -> list[ir.Value]:
        """Every activation that gets a pair, in graph order."""
        return [*self.home, *(v for v in self.demanded if v not in self.home)]


def place(graph: ir.Graph, skip: frozenset[str] = frozenset()) -> Placement:
    """Decide for the main graph; subgraphs stay float. ``skip`` names nodes that must stay float."""
    placement = Placement()
    for node in graph:
        if label(node) in skip or node.domain not in ("", "ai.onnx"):
            continue
        kernel = as_kernel(node)
        if kernel is not None:
            placement.kernels.append(kernel)
            placement.integer.add(node)
            placement.demanded.setdefault(kernel.data)
            if node.op_type == "Conv":
                placement.home.setdefault(kernel.output)
        elif node.op_type in JOINERS:
            _join(node, placement)
        elif node.op_type in MOVERS:
            _move(node, placement)
    for kernel in placement.kernels:
        # A Gemm between Gemms: its output is quantized anyway, so let it write integers.
        readers = kernel.output.consumers()
        if kernel.output in placement.demanded and readers and all(n in placement.integer for n in readers):
            placement.home.setdefault(kernel.output)
    return placement


def label(node: ir.Node) -> str:
    """What a node is called: its name, or what it writes."""
    return str(node.name or node.outputs[0].name)


def as_kernel(node: ir.Node) -> Kernel | None:
    """``node`` as an integer kernel, or None: other operator, weight not constant or not float32, odd attributes."""
    if node.op_type not in ("Conv", "Gemm", "MatMul") or len(node.inputs) < 2:
        return None
    data, weight = node.inputs[0], node.inputs[1]
    bias = node.inputs[2] if len(node.inputs) > 2 else None
    array = constant(weight)
    if data is None or weight is None or array is None or array.dtype != np.float32 or constant(data) is not None:
        return None
    if array.size == 0 or not np.isfinite(array).all() or data.dtype not in (None, ir.DataType.FLOAT):
        return None
    if node.op_type == "Gemm":
        offset = constant(bias)
        whole = bias is None or (offset is not None and offset.dtype == np.float32)
        if _integer(node, "transA", 0) or not whole or array.ndim != 2:
            return None
        axis = 0 if _integer(node, "transB", 0) else 1
        if bias is not None and offset.size not in (1, array.shape[axis]):
            return None
    elif node.op_type == "Conv":
        axis = 0
        if array.ndim < 3 or (bias is not None and constant(bias) is None):
            return None
    else:
        axis = array.ndim - 1
        if array.ndim != 2:
            return None
    return Kernel(node, data, weight, axis, bias, tail(node.outputs[0]))


def tail(value: ir.Value) -> ir.Value:
    """``value`` or, where its only reader is a Relu or a constant Clip, what that writes."""
    readers = value.consumers()
    if len(readers) != 1 or value.is_graph_output():
        return value
    reader = readers[0]
    if reader.domain not in ("", "ai.onnx") or reader.inputs[0] is not value:
        return value
    if reader.op_type == "Relu" or (
        reader.op_type == "Clip" and all(i is None or constant(i) is not None for i in reader.inputs[1:])
    ):
        return reader.outputs[0]
    return value


def _integer(node: ir.Node, name: str, default: int) -> int:
    found = node.attributes.get(name)
    return default if found is None else found.as_int()


def _join(node: ir.Node, placement: Placement) -> None:
    output = tail(node.outputs[0])
    if node.outputs[0] in placement.home or output in placement.home:
        return  # the Relu behind a kernel: already inside it
    data = [v for v in node.inputs if v is not None] if node.op_type in ("Add", "Mul", "Concat") else [node.inputs[0]]
    fixed = [v for v in data if v is not None and constant(v) is not None]
    moving = [v for v in data if v is not None and constant(v) is None]
    if not moving or any(v not in placement.home for v in moving):
        return
    if any(constant(v).dtype != np.float32 or not np.isfinite(constant(v)).all() for v in fixed):
        return
    placement.integer.add(node)
    placement.home.setdefault(output)
    for value in fixed:
        placement.constants.setdefault(value)


def _move(node: ir.Node, placement: Placement) -> None:
    data = node.inputs[0]
    if data is None or data not in placement.home:
        return
    if node.op_type == "MaxPool" and len(node.outputs) > 1:
        return
    placement.integer.add(node)
    for output in node.outputs:
        if output.consumers() or output.is_graph_output():
            placement.home.setdefault(output)
            placement.shares[output] = placement.shares.get(data, data)
