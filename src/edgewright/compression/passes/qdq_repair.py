"""QDQ repair: other tools' quantized models, mended so that engines run them as integers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import onnx_ir as ir

from edgewright.compression.contract import Context, Pass, PassResult
from edgewright.compression.rewriting.editor import Editor, integer, is_standard, live_graph, number
from edgewright.compression.rewriting.pairs import Parameters, give, parameters, quantize, quantizers
from edgewright.core.model import Model
from edgewright.graphs.graph import close_graph, constant
from edgewright.graphs.opsets import at_least

# Operators that carry integers from a QuantizeLinear to a DequantizeLinear without looking at them.
_CARRIERS = (
    "Reshape",
    "Transpose",
    "Squeeze",
    "Unsqueeze",
    "Flatten",
    "Identity",
    "Slice",
    "Split",
    "MaxPool",
    "Concat",
)
_ROUNDS = 4


@dataclass(frozen=True)
class QdqRepair(Pass):
    """Rewritings of QuantizeLinear and DequantizeLinear pairs.

    Exact: float weights behind a pair become int8; pairs that repeat a pair go; signed activations become unsigned
    (zero point + 128) and unsigned weights signed, as x86 multiplies U8 by S8 (ARM has no preference; ``unsigned``
    false leaves activations signed). Within the model's own quantization error: activations quantized per channel,
    which no engine runs as integers, get one scale that covers all channels; float biases become int32.
    """

    name: ClassVar[str] = "qdq_repair"
    tolerance_db: ClassVar[float] = 20.0

    unsigned: bool = True

    def rewrite(self, model: Model, context: Context) -> PassResult | None:
        """The mended model, or None when it holds no pairs or nothing is wrong with them."""
        graph = live_graph(at_least(model, 13))  # the first with scales along an axis
        if not any(is_standard(node, "QuantizeLinear", "DequantizeLinear") for node in graph.graph):
            return None
        mended: dict[str, int] = {}
        repairs: list[tuple[str, Callable[[Editor], int]]] = [
            ("weights_stored", store_weights),
            ("pairs_removed", remove_repeats),
            ("activations_per_tensor", per_tensor),
            ("activations_unsigned", unsign_activations if self.unsigned else lambda editor: 0),
            ("weights_signed", sign_weights),
            ("biases", quantize_biases),
        ]
        editor = Editor(graph, "ew.r")
        for _ in range(_ROUNDS):
            context.checkpoint()
            counts = {label: repair(editor) for label, repair in repairs}
            for label, count in counts.items():
                if count:
                    mended[label] = mended.get(label, 0) + count
            if not any(counts.values()):
                break
        if not mended:
            return None
        whole = close_graph(graph, model, self.name, self.options())
        return PassResult("applied", whole, facts={"mended": mended})


def store_weights(editor: Editor) -> int:
    """A constant that is quantized each time the model runs is stored as integers."""
    count = 0
    for node, held in quantizers(editor.graph, "QuantizeLinear"):
        array = constant(node.inputs[0])
        if array is not None and array.dtype == np.float32 and not node.outputs[0].is_graph_output():
            editor.replace(node.outputs[0], editor.store(quantize(array, held)))
            count += 1
    return count


def remove_repeats(editor: Editor) -> int:
    """A pair behind an equal pair, and a second equal QuantizeLinear of one value."""
    count = 0
    first: dict[ir.Value, list[tuple[ir.Node, Parameters]]] = {}
    for node, held in quantizers(editor.graph, "QuantizeLinear"):
        source = node.inputs[0].producer() if node.inputs[0] is not None else None
        if source is not None and held.same(parameters(source)) and is_standard(source, "DequantizeLinear"):
            integers = source.inputs[0]
            if integers is not None and not node.outputs[0].is_graph_output():
                editor.replace(node.outputs[0], integers)
                count += 1
                continue
        if node.inputs[0] is None:
            continue
        known = first.setdefault(node.inputs[0], [])
        twin = next((other for other, theirs in known if theirs.same(held) and other.graph is not None), None)
        if twin is not None and not node.outputs[0].is_graph_output():
            editor.replace(node.outputs[0], twin.outputs[0])
            count += 1
        else:
            known.append((node, held))
    return count


def per_tensor(editor: Editor) -> int:
    """One scale, wide enough for every channel, for an activation that has one a channel."""
    count = 0
    for node, held in quantizers(editor.graph, "QuantizeLinear"):
        readers = [reader for reader, _ in node.outputs[0].uses()]
        if held.scale.ndim == 0 or node.outputs[0].is_graph_output() or constant(node.inputs[0]) is not None:
            continue
        if not readers or not all(held.same(parameters(r)) and is_standard(r, "DequantizeLinear") for r in readers):
            continue
        one = _covering(held)
        for each in (node, *readers):
            give(editor, each, one)
        count += 1
    return count


def _covering(held: Parameters) -> Parameters:
    least, most = held.limits
    scale, zero = held.scale.astype(np.float64), held.zero.astype(np.float64)
    low = min(float(((least - zero) * scale).min()), 0.0)
    high = max(float(((most - zero) * scale).max()), 0.0)
    if not held.zero.any() and least < 0:  # symmetric stays symmetric
        return Parameters(np.asarray(np.abs(held.scale).max(), np.float32), held.zero[:1].reshape(()), 1)
    step = max((high - low) / (most - least), float(np.finfo(np.float32).tiny))
    middle = np.clip(np.rint(least - low / step), least, most)
    return Parameters(np.asarray(step, np.float32), np.asarray(middle, held.zero.dtype), 1)


def unsign_activations(editor: Editor) -> int:
    """int8 activations as uint8, with whatever carries them as integers. The values they stand for stay the same."""
    count = 0
    for node, held in quantizers(editor.graph, "QuantizeLinear"):
        if held.zero.dtype != np.int8 or constant(node.inputs[0]) is not None:
            continue
        group = _connected(node)
        if group is None:
            continue
        for each in group:
            theirs = parameters(each)
            if theirs is not None:
                shifted = (theirs.zero.astype(np.int16) + 128).astype(np.uint8)
                give(editor, each, Parameters(theirs.scale, shifted, theirs.axis))
                count += each.op_type == "QuantizeLinear"
    return count


def _connected(start: ir.Node) -> list[ir.Node] | None:
    """Every quantizer whose integers meet those of ``start``, or None where something else reads or makes them."""
    found: dict[ir.Node, None] = {}
    waiting = [start]
    while waiting:
        node = waiting.pop()
        if node in found:
            continue
        found[node] = None
        held = parameters(node)
        if is_standard(node, "QuantizeLinear"):
            if held is None or held.zero.dtype != np.int8 or constant(node.inputs[0]) is not None:
                return None
        elif is_standard(node, "DequantizeLinear"):
            if held is None or held.zero.dtype != np.int8:
                return None
        elif not is_standard(node, *_CARRIERS):
            return None
        made = () if is_standard(node, "DequantizeLinear") else node.outputs
        if any(v.is_graph_output() for v in made):
            return None
        waiting += [reader for v in made for reader, _ in v.uses()]
        read = (
            () if is_standard(node, "QuantizeLinear") else node.inputs if node.op_type == "Concat" else node.inputs[:1]
        )
        sources = [v.producer() if v is not None else None for v in read]
        if any(s is None or (s.op_type == "Constant") for s in sources):
            return None
        waiting += [s for s in sources if s is not None]
    return list(found)


def sign_weights(editor: Editor) -> int:
    """uint8 weights of Conv, Gemm and MatMul as int8, zero point - 128."""
    count = 0
    for node, held in quantizers(editor.graph, "DequantizeLinear"):
        array = constant(node.inputs[0])
        uses = list(node.outputs[0].uses())
        if array is None or array.dtype != np.uint8 or held.zero.dtype != np.uint8 or not uses:
            continue
        if not all(index == 1 and is_standard(reader, "Conv", "Gemm", "MatMul") for reader, index in uses):
            continue
        node.replace_input_with(0, editor.store((array.astype(np.int16) - 128).astype(np.int8)))
        give(editor, node, Parameters(held.scale, (held.zero.astype(np.int16) - 128).astype(np.int8), held.axis))
        count += 1
    return count


def quantize_biases(editor: Editor) -> int:
    """Float biases behind integer inputs as int32 at the product's own scale, where they fit."""
    count = 0
    for node in list(editor.graph):
        if not is_standard(node, "Conv", "Gemm") or len(node.inputs) < 3:
            continue
        if number(node, "alpha", 1.0) != 1.0 or number(node, "beta", 1.0) != 1.0 or integer(node, "transA", 0):
            continue
        bias = constant(node.inputs[2])
        sources = [v.producer() if v is not None else None for v in node.inputs[:2]]
        data, weight = (parameters(s) if is_standard(s, "DequantizeLinear") else None for s in sources)
        if bias is None or bias.dtype != np.float32 or bias.ndim != 1 or data is None or weight is None:
            continue
        if data.scale.ndim or weight.scale.size not in (1, bias.size):
            continue
        steps = np.broadcast_to(data.scale * weight.scale, bias.shape).astype(np.float32)
        if not (steps > 0).all() or np.abs(bias / steps.astype(np.float64)).max(initial=0.0) >= 2**30:
            continue
        integers = np.rint(bias / steps.astype(np.float64)).astype(np.int32)
        shared = weight.scale.ndim == 0
        inputs: list[ir.Value | None] = [editor.store(integers), editor.store(steps[0] if shared else steps)]
        node.replace_input_with(2, editor.node("DequantizeLinear", inputs, None if shared else {"axis": 0}))
        count += 1
    return count
