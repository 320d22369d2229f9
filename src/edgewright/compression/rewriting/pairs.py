"""QuantizeLinear and DequantizeLinear as other tools leave them, and their parameters."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from edgewright.compression.rewriting.editor import Editor, integer, is_standard
from edgewright.graphs.graph import constant

Integers = NDArray[np.integer[Any]]


@dataclass(frozen=True)
class Parameters:
    """(integer - zero) * scale; both of shape () or (channels,) along ``axis``."""

    scale: NDArray[np.float32]
    zero: NDArray[np.integer[Any]]
    axis: int

    @property
    def limits(self) -> tuple[int, int]:
        """The least and the largest integer."""
        held = np.iinfo(self.zero.dtype)
        return int(held.min), int(held.max)

    def same(self, other: Parameters | None) -> bool:
        """Whether both mean the same integers."""
        return (
            other is not None
            and self.zero.dtype == other.zero.dtype
            and np.array_equal(self.scale, other.scale)
            and np.array_equal(self.zero, other.zero)
            and (self.scale.ndim == 0 or self.axis == other.axis)
        )

    def along(self, rank: int) -> tuple[NDArray[np.float32], NDArray[np.integer[Any]]]:
        """Scale and zero point in a shape that broadcasts against a tensor of ``rank`` axes."""
        if self.scale.ndim == 0:
            return self.scale, self.zero
        side = [-1 if i == self.axis % rank else 1 for i in range(rank)]
        return self.scale.reshape(side), self.zero.reshape(side)


def parameters(node: ir.Node | None) -> Parameters | None:
    """What an 8-bit or 32-bit QuantizeLinear or DequantizeLinear holds, or None: computed, blocked, another type."""
    if node is None or not is_standard(node, "QuantizeLinear", "DequantizeLinear") or integer(node, "block_size", 0):
        return None
    if "output_dtype" in node.attributes or "saturate" in node.attributes:
        return None
    scale = constant(node.inputs[1])
    given = node.inputs[2] if len(node.inputs) > 2 else None
    zero = constant(given)
    if scale is None or scale.dtype != np.float32 or (given is not None and zero is None):
        return None
    if zero is None:
        source = constant(node.inputs[0]) if node.op_type == "DequantizeLinear" else None
        zero = np.zeros(scale.shape, source.dtype if source is not None else np.uint8)
    if zero.dtype not in (np.int8, np.uint8, np.int32):
        return None
    if scale.size == 1:
        scale, zero = scale.reshape(()), zero.reshape(-1)[:1].reshape(())
    return Parameters(scale, zero, integer(node, "axis", 1)) if scale.shape == zero.shape else None


def give(editor: Editor, node: ir.Node, held: Parameters) -> None:
    """Write ``held`` into a QuantizeLinear or DequantizeLinear."""
    node.resize_inputs(3)
    node.replace_input_with(1, editor.store(held.scale))
    node.replace_input_with(2, editor.store(held.zero))
    if held.scale.ndim == 0:
        node.attributes.pop("axis", None)
    else:
        node.attributes["axis"] = ir.AttrInt64("axis", held.axis)


def quantize(array: NDArray[np.float32], held: Parameters) -> Integers:
    """``array`` as QuantizeLinear would (ONNX: ties to even, then saturate)."""
    scale, zero = held.along(array.ndim)
    low, high = held.limits
    rounded: Integers = np.clip(np.rint(array / scale) + zero.astype(np.float32), low, high).astype(zero.dtype)
    return rounded


def quantizers(graph: ir.Graph, op_type: str) -> Iterator[tuple[ir.Node, Parameters]]:
    """The nodes of ``op_type`` that are still there and understood."""
    for node in list(graph):
        held = parameters(node) if node.graph is not None and is_standard(node, op_type) else None
        if held is not None:
            yield node, held
