"""Pooling and reshaping written the long way: means over space, gathers of everything in order, chained reshapes."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from edgewright.compression.rewriting.editor import Editor, axis_index, integer, is_standard, sole_reader
from edgewright.compression.rewriting.facts import Facts, Symbol
from edgewright.graphs.graph import constant


def shorten(editor: Editor, facts: Facts) -> int:
    """Rewrite what applies; how many nodes were."""
    count = 0
    for node in list(editor.graph):
        if node.graph is None:
            continue
        if is_standard(node, "ReduceMean"):
            count += _pool(editor, facts, node)
        elif is_standard(node, "Gather"):
            count += _gather(editor, facts, node)
        elif is_standard(node, "Reshape"):
            count += _merge(editor, facts, node)
    return count


def _pool(editor: Editor, facts: Facts, node: ir.Node) -> bool:
    """A mean over all spatial axes as GlobalAveragePool, which engines also run on integers."""
    shape = facts.shape(node.inputs[0])
    if shape is None or len(shape) not in (3, 4, 5):
        return False
    if len(node.inputs) > 1 and node.inputs[1] is not None:
        axes = constant(node.inputs[1])
    else:
        axes = np.array(node.attributes["axes"].as_ints()) if "axes" in node.attributes else None
    if axes is None or {axis_index(int(a), len(shape)) for a in axes.ravel()} != set(range(2, len(shape))):
        return False
    # Three axes are as often (batch, tokens, features), where a mean over the last is no pooling.
    if len(shape) == 3 and not is_standard(node.inputs[0].producer() if node.inputs[0] else None, "Conv", "Relu"):
        return False
    pooled = editor.node("GlobalAveragePool", [node.inputs[0]])
    if not integer(node, "keepdims", 1):
        pooled = editor.node("Flatten", [pooled], {"axis": 1})
    editor.replace(node.outputs[0], pooled)
    return True


def _gather(editor: Editor, facts: Facts, node: ir.Node) -> bool:
    """A gather of 0, 1, 2, ... from a flat tensor (exported ``as_strided``): a reshape."""
    indices = facts.values.get(str(node.inputs[1].name), ()) if node.inputs[1] is not None else ()
    before, after = facts.runs(node.inputs[0]), facts.shape(node.outputs[0])
    if not indices or len(indices) != len(before) or after is None or integer(node, "axis", 0) != 0:
        return False
    for picked, shape in zip(indices, before, strict=True):
        if len(shape) != 1 or picked.size != shape[0] or not np.array_equal(picked.ravel(), np.arange(picked.size)):
            return False
    return _reshape(editor, node, node.inputs[0], after)


def _merge(editor: Editor, facts: Facts, node: ir.Node) -> bool:
    """A reshape of something that was only reshaped: one of the two is enough."""
    source = node.inputs[0]
    earlier = source.producer() if source is not None else None
    after = facts.shape(node.outputs[0])
    if source is None or earlier is None or after is None or sole_reader(source) is None:
        return False
    if not is_standard(earlier, "Reshape", "Flatten", "Squeeze", "Unsqueeze"):
        return False
    return _reshape(editor, node, earlier.inputs[0], after)


def _reshape(editor: Editor, node: ir.Node, data: ir.Value | None, after: tuple[int | Symbol | None, ...]) -> bool:
    target = [size if isinstance(size, int) else -1 for size in after]
    if target.count(-1) > 1 or 0 in target:
        return False
    editor.replace(node.outputs[0], editor.node("Reshape", [data, editor.store(target, np.int64)]))
    return True
