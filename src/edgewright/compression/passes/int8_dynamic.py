"""INT8 dynamic: weights stored as integers, activations quantized while the model runs. Needs no samples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from edgewright.compression.contract import Context, Pass, PassResult
from edgewright.compression.rewriting.editor import Editor, integer, is_standard, live_graph
from edgewright.compression.rewriting.linear import Linear, layers
from edgewright.core.errors import Refused
from edgewright.core.model import Model
from edgewright.graphs.graph import close_graph, constant
from edgewright.graphs.opsets import at_least

# A row's scale takes as much as four of its numbers.
_NARROWEST = 8


@dataclass(frozen=True)
class Int8Dynamic(Pass):
    """Matrix products with constant weights as MatMulInteger, one scale per output column.

    Written in the pattern that ONNX Runtime runs as one DynamicQuantizeMatMul. Products of two activations stay float.
    ``conv`` takes convolutions too (ConvInteger; slower than float in ONNX Runtime when measured, hence off);
    ``recurrent`` LSTMs as com.microsoft.DynamicQuantizeLSTM; ``embeddings`` stores Gather's tables in int8.
    ``weight_bits`` 7 keeps sums of two products inside int16 on x86 without VNNI. Weights of fewer than ``smallest``
    numbers stay, as quantizing their activations takes longer than the product; so do the nodes named in ``skip``.
    """

    name: ClassVar[str] = "int8_dynamic"
    tolerance_db: ClassVar[float] = 15.0

    conv: bool = False
    recurrent: bool = True
    embeddings: bool = False
    weight_bits: Literal[7, 8] = 8
    smallest: int = 4096
    skip: tuple[str, ...] = ()

    def rewrite(self, model: Model, context: Context) -> PassResult:
        """The quantized model. Raises Refused where nothing qualifies."""
        graph = live_graph(at_least(model, 11))
        editor = Editor(graph, "ew.d")
        writer = _Writer(editor, 2 ** (self.weight_bits - 1) - 1, self.smallest)
        done: dict[str, int] = {}
        for layer in layers(graph.graph):
            if layer.node.name not in self.skip and writer.worth(layer.weight):
                writer.linear(layer)
                done["products"] = done.get("products", 0) + 1
        for node in list(graph.graph):
            context.checkpoint()
            if node.name in self.skip:
                continue
            for label, wanted, write in (
                ("convolutions", self.conv, writer.convolution),
                ("recurrent", self.recurrent, writer.lstm),
                ("tables", self.embeddings, writer.table),
            ):
                if wanted and write(node):
                    done[label] = done.get(label, 0) + 1
        if not done:
            raise Refused("holds no matrix product with constant float32 weights large enough to gain")
        return PassResult("applied", close_graph(graph, model, self.name, self.options()), facts={"quantized": done})


class _Writer:
    """Writes integer operators; what reads the same activations shares one DynamicQuantizeLinear."""

    def __init__(self, editor: Editor, most: int, smallest: int) -> None:
        self._editor, self._most, self._smallest = editor, most, smallest
        self._quantized: dict[ir.Value, list[ir.Value]] = {}

    def worth(self, *weights: NDArray[Any] | None) -> bool:
        """Whether these are finite float32 weights, together large enough to gain."""
        whole = [w for w in weights if w is not None and w.dtype == np.float32 and np.isfinite(w).all()]
        return len(whole) == len(weights) and sum(w.size for w in whole) >= max(self._smallest, 1)

    def linear(self, layer: Linear) -> None:
        """x @ W + b as Cast(MatMulInteger) * (scale of x * scales of W) + b."""
        editor = self._editor
        data, scale, zero = self._activation(layer.data)
        weight, scales = self._integers(layer.weight, 1)
        product = editor.node("MatMulInteger", [data, editor.store(weight), zero])
        made = self._restore(product, scale, scales)
        if layer.bias is not None:
            made = editor.node("Add", [made, editor.store(layer.bias, np.float32)])
        editor.replace(layer.output, made)

    def convolution(self, node: ir.Node) -> bool:
        """ConvInteger likewise, scales along axis 1."""
        weight = constant(node.inputs[1]) if is_standard(node, "Conv") else None
        if weight is None or not self.worth(weight) or node.inputs[0] is None:
            return False
        editor = self._editor
        data, scale, zero = self._activation(node.inputs[0])
        integers, scales = self._integers(weight, 0)
        made = ir.Node("", "ConvInteger", [data, editor.store(integers), zero], list(node.attributes.values()),
                       num_outputs=1, name=editor.fresh())  # fmt: skip
        made.outputs[0].name = editor.fresh()
        editor.graph.append(made)
        side = [-1, *[1] * (weight.ndim - 2)]
        result = self._restore(made.outputs[0], scale, scales.reshape(side))
        bias = node.inputs[2] if len(node.inputs) > 2 else None
        if bias is not None:
            result = editor.node("Add", [result, self._shaped(bias, side)])
        editor.replace(node.outputs[0], result)
        return True

    def lstm(self, node: ir.Node) -> bool:
        """com.microsoft.DynamicQuantizeLSTM: weights transposed to (directions, inputs, 4 x hidden), int8."""
        if not is_standard(node, "LSTM") or integer(node, "layout", 0):
            return False
        weights = [constant(v) for v in node.inputs[1:3]]
        if not self.worth(*weights):
            return False
        editor, held, scales = self._editor, [], []
        for weight in weights:
            turned = weight.transpose(0, 2, 1)
            scale = np.maximum(np.abs(turned).max(axis=1) / self._most, np.finfo(np.float32).tiny)
            held.append(editor.store(np.rint(turned / scale[:, None]).astype(np.int8)))
            scales += [editor.store(scale, np.float32), editor.store(np.zeros(scale.shape, np.int8))]
        others = [*node.inputs[3:], *[None] * (8 - len(node.inputs))]
        attributes = [a for name, a in node.attributes.items() if name != "layout"]
        made = ir.Node("com.microsoft", "DynamicQuantizeLSTM", [node.inputs[0], *held, *others, *scales], attributes,
                       num_outputs=len(node.outputs), name=editor.fresh())  # fmt: skip
        editor.graph.append(made)
        editor.graph.opset_imports["com.microsoft"] = 1
        for old, new in zip(node.outputs, made.outputs, strict=True):
            new.name = editor.fresh()
            editor.replace(old, new)
        return True

    def table(self, node: ir.Node) -> bool:
        """Rows of a Gather's table in int8, one scale a row."""
        table = constant(node.inputs[0]) if is_standard(node, "Gather") else None
        narrow = table is None or table.ndim != 2 or table.shape[1] < _NARROWEST
        if table is None or narrow or integer(node, "axis", 0) or not self.worth(table):
            return False
        editor, rows = self._editor, node.inputs[1]
        integers, scales = self._integers(table, 0)
        picked = editor.node("Gather", [editor.store(integers), rows], {"axis": 0})
        factor = editor.node("Gather", [editor.store(scales.reshape(-1, 1), np.float32), rows], {"axis": 0})
        whole = editor.node("Cast", [picked], {"to": int(ir.DataType.FLOAT)})
        editor.replace(node.outputs[0], editor.node("Mul", [whole, factor]))
        return True

    def _activation(self, value: ir.Value) -> list[ir.Value]:
        if value not in self._quantized:
            self._quantized[value] = self._editor.nodes("DynamicQuantizeLinear", [value], None, "", 3)
        return self._quantized[value]

    def _integers(self, weight: NDArray[np.float32], axis: int) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
        peaks = np.abs(weight).max(axis=tuple(i for i in range(weight.ndim) if i != axis))
        scales = np.where(peaks > 0, peaks / self._most, 1).astype(np.float32)
        steps = scales.reshape([-1 if i == axis else 1 for i in range(weight.ndim)])
        return np.clip(np.rint(weight / steps), -self._most, self._most).astype(np.int8), scales

    def _restore(self, product: ir.Value, scale: ir.Value, scales: NDArray[np.float32]) -> ir.Value:
        factor = self._editor.node("Mul", [scale, self._editor.store(scales, np.float32)])
        whole = self._editor.node("Cast", [product], {"to": int(ir.DataType.FLOAT)})
        return self._editor.node("Mul", [whole, factor])

    def _shaped(self, bias: ir.Value, side: list[int]) -> ir.Value:
        array = constant(bias)
        if array is not None:
            return self._editor.store(array.reshape(side))
        return self._editor.node("Reshape", [bias, self._editor.store(side, np.int64)])
