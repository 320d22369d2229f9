"""INT4 weights: matrix products whose weights are stored in blocks of four bits; activations stay float."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import onnx_ir as ir

from edgewright.compression.contract import Context, Pass, PassResult
from edgewright.compression.rewriting.blocks import Blocks, quantize_blocks
from edgewright.compression.rewriting.editor import Editor, live_graph
from edgewright.compression.rewriting.linear import Linear, layers
from edgewright.compression.rewriting.moments import second_moments
from edgewright.core.errors import Refused
from edgewright.core.model import Model
from edgewright.graphs.graph import close_graph

# The engine may multiply in int8 (com.microsoft.MatMulNBits, accuracy_level 4): 2 to 4 times faster than float.
_INT8_COMPUTE = 4


@dataclass(frozen=True)
class Int4Weights(Pass):
    """MatMul and Gemm with constant weights as com.microsoft.MatMulNBits, which ONNX Runtime and OpenVINO both read.

    (The standard spelling, a blocked DequantizeLinear before the MatMul, ran five times slower than float in ONNX
    Runtime when measured.) Fast for one row at a time; for many, INT8 is. ``block``: weights that share a scale; larger
    is smaller and faster, smaller is closer. ``symmetric`` leaves the zero points out. ``bits`` 8 keeps the layout with
    twice the bytes. With samples, rounding errors are made up for within each layer (GPTQ). Weights of fewer than
    ``smallest`` numbers stay, and so do the nodes named in ``skip``.
    """

    name: ClassVar[str] = "int4_weights"
    tolerance_db: ClassVar[float] = 6.0
    needs_data: ClassVar[bool] = True

    block: Literal[32, 64, 128] = 32
    symmetric: bool = False
    bits: Literal[4, 8] = 4
    smallest: int = 4096
    skip: tuple[str, ...] = ()

    def rewrite(self, model: Model, context: Context) -> PassResult:
        """The quantized model. Raises Refused where nothing qualifies."""
        graph = live_graph(model)
        found = [layer for layer in layers(graph.graph) if self._qualifies(layer)]
        if not found:
            raise Refused("holds no MatMul or Gemm with constant float32 weights large enough to gain")
        read = [str(layer.data.name) for layer in found]
        moments = {}
        if context.calibration is not None and len(context.calibration):
            moments = second_moments(model, dict.fromkeys(read, -1), context)
        editor = Editor(graph, "ew.n")
        for layer, name in zip(found, read, strict=True):
            context.checkpoint()
            known = moments[name].matrix if name in moments else None
            blocks = quantize_blocks(layer.weight, self._size(layer), self.bits, self.symmetric, known)
            _write(editor, layer, blocks, self.symmetric)
        facts = {"layers": len(found), "compensated": sum(name in moments for name in read)}
        return PassResult("applied", close_graph(graph, model, self.name, self.options()), facts=facts)

    def _qualifies(self, layer: Linear) -> bool:
        whole = layer.weight.size >= max(self.smallest, 1) and np.isfinite(layer.weight).all()
        return bool(whole) and layer.node.name not in self.skip

    def _size(self, layer: Linear) -> int:
        """The block, no larger than the inputs need (the operator takes powers of two from 16)."""
        inputs = int(layer.weight.shape[0])
        return min(self.block, max(16, 1 << (inputs - 1).bit_length()))


def _write(editor: Editor, layer: Linear, blocks: Blocks, symmetric: bool) -> None:
    inputs: list[ir.Value | None] = [
        layer.data,
        editor.store(blocks.packed()),
        editor.store(blocks.scales.ravel()),
    ]
    if not symmetric:
        inputs.append(editor.store(blocks.packed_zeros().ravel()))
    attributes = {
        "K": layer.weight.shape[0],
        "N": layer.weight.shape[1],
        "bits": blocks.bits,
        "block_size": blocks.size,
        "accuracy_level": _INT8_COMPUTE,
    }
    made = editor.node("MatMulNBits", inputs, attributes, "com.microsoft")
    if layer.bias is not None:
        made = editor.node("Add", [made, editor.store(layer.bias, np.float32)])
    editor.replace(layer.output, made)
