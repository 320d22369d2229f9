"""Which nodes may compute in float16, and writing them so, with a Cast wherever the type changes."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx
import onnx_ir as ir
from numpy.typing import NDArray

from edgewright.compression.rewriting.editor import Editor
from edgewright.graphs.graph import constant

LARGEST = 65504.0  # IEEE 754 binary16
_ROOM = LARGEST / 2  # samples do not show the largest value there will be

# Sums of many terms, exponentials and differences of near numbers lose what float16 has not; the engines' own float16
# kernels of these accumulate in float32 as well.
_FULL = frozenset({
    "Softmax", "LogSoftmax", "LayerNormalization", "RMSNormalization", "BatchNormalization", "GroupNormalization",
    "InstanceNormalization", "LpNormalization", "MeanVarianceNormalization", "ReduceMean", "ReduceSum", "ReduceL1",
    "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceProd", "ReduceSumSquare", "CumSum", "Exp", "Log", "Pow",
    "Range", "Resize", "Upsample", "TopK", "NonMaxSuppression", "RoiAlign", "LSTM", "GRU", "RNN", "Softplus",
    "QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "Attention", "GridSample", "Einsum", "DFT", "STFT",
})  # fmt: skip


def choose(graph: ir.Graph, peaks: Mapping[str, float], opset: int) -> dict[ir.Node, set[int]]:
    """Nodes to compute in float16, each with its inputs that become float16.

    ``peaks``: the largest magnitude seen of each value. A node stays float32 where one of its values comes near what
    float16 holds, or where a constant of it would overflow or vanish.
    """
    chosen: dict[ir.Node, set[int]] = {}
    for node in graph:
        inputs = _halvable(node, opset)
        if inputs is None or any(peaks.get(str(v.name), 0.0) > _ROOM for v in (*node.inputs, *node.outputs) if v):
            continue
        arrays = [constant(node.inputs[index]) for index in inputs]
        if all(array is None or fits(array) for array in arrays):
            chosen[node] = inputs
    return chosen


def fits(array: NDArray[np.generic]) -> bool:
    """Whether ``array`` keeps its meaning in float16: nothing overflows, and a lone small number does not vanish."""
    values = np.asarray(array, np.float64)
    finite = values[np.isfinite(values)]
    if finite.size and np.abs(finite).max() > LARGEST:
        return False
    if values.size > 1:
        return True
    return bool(np.all(np.abs(finite - finite.astype(np.float16)) <= 1e-2 * np.abs(finite)))


def _halvable(node: ir.Node, opset: int) -> set[int] | None:
    """The float32 inputs that may be float16, or None where the node must stay."""
    if node.domain not in ("", "ai.onnx") or node.op_type in _FULL or node.op_type in ("Constant", "Cast"):
        return None
    held = node.attributes.values()
    if any(a.type in (ir.AttributeType.GRAPH, ir.AttributeType.GRAPHS) or a.name == "dtype" for a in held):
        return None
    if "value" in node.attributes:
        return None
    try:
        schema = onnx.defs.get_schema(node.op_type, opset)
    except onnx.defs.SchemaError:
        return None
    allowed = {c.type_param_str: set(c.allowed_type_strs) for c in schema.type_constraints}

    def takes(formal: onnx.defs.OpSchema.FormalParameter) -> bool:
        return "tensor(float16)" in allowed.get(formal.type_str, {formal.type_str})

    inputs: set[int] = set()
    for index, value in enumerate(node.inputs):
        if value is None:
            continue
        if value.dtype is None:
            return None
        formal = schema.inputs[min(index, len(schema.inputs) - 1)]
        if value.dtype == ir.DataType.FLOAT and takes(formal):
            inputs.add(index)
    for index, value in enumerate(node.outputs):
        formal = schema.outputs[min(index, len(schema.outputs) - 1)]
        if value.dtype not in (None, ir.DataType.FLOAT) or not takes(formal):
            return None
    return inputs or None


def write(editor: Editor, chosen: Mapping[ir.Node, set[int]]) -> int:
    """Turn the chosen nodes to float16; returns how many numbers of weights were halved."""
    down: dict[ir.Value, ir.Value] = {}
    halved = 0
    made = {output for node in chosen for output in node.outputs}
    for node, inputs in chosen.items():
        for index in sorted(inputs):
            value = node.inputs[index]
            array = constant(value)
            if value is None or value in made:
                continue
            if value not in down:
                if array is not None:
                    with np.errstate(under="ignore"):
                        down[value] = editor.store(array.astype(np.float16))
                    halved += array.size
                else:
                    down[value] = editor.node("Cast", [value], {"to": int(ir.DataType.FLOAT16)})
            node.replace_input_with(index, down[value])
    for node in chosen:
        for output in node.outputs:
            _raise(editor, output, chosen)
    return halved


def _raise(editor: Editor, value: ir.Value, chosen: Mapping[ir.Node, set[int]]) -> None:
    """Give those who want float32 of ``value``, which is float16 now, a Cast of it."""
    outside = [(reader, index) for reader, index in value.uses() if index not in chosen.get(reader, ())]
    if not outside and not value.is_graph_output():
        return
    up = editor.node("Cast", [value], {"to": int(ir.DataType.FLOAT)})
    for reader, index in outside:
        reader.replace_input_with(index, up)
    if value.is_graph_output():
        up.name, up.type, up.shape = value.name, value.type, value.shape
        value.name, value.type, value.shape = editor.fresh(), None, None
        for place, output in enumerate(editor.graph.outputs):
            if output is value:
                editor.graph.outputs[place] = up
