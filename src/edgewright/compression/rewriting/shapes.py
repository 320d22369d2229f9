"""Shape arithmetic replaced by what it comes to.

``Reshape`` gets a constant target (0 copies a size, -1 infers one); a size that is always the same becomes a constant;
what is left of a dynamic size is read from the graph's input where it first appears.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from edgewright.compression.rewriting.editor import Editor, is_standard
from edgewright.compression.rewriting.facts import Facts, Size, Symbol
from edgewright.graphs.graph import constant

_FOLDED_BYTES = 2**14  # what shape arithmetic makes is small; larger constants would only make the file grow
_SHAPE_WITH_ENDS = 15


def fold_shapes(editor: Editor, facts: Facts) -> int:
    """Replace every computed size that is understood; returns how many inputs of nodes were changed."""
    count = 0
    for node in list(editor.graph):
        if node.graph is None or _is_arithmetic(node, facts):
            continue
        for index, value in enumerate(node.inputs):
            if value is None or constant(value) is not None or value.name not in facts.values:
                continue
            made = _known(editor, facts, node, index, value)
            if made is not None:
                producer = value.producer()
                node.replace_input_with(index, made)
                if index == 1 and is_standard(node, "Reshape"):
                    node.attributes.pop("allowzero", None)
                if producer is not None:
                    editor.drop(producer)
                count += 1
    return count


def _is_arithmetic(node: ir.Node, facts: Facts) -> bool:
    """Whether ``node`` only makes numbers and vectors for other shape arithmetic."""
    seen = [array for output in node.outputs for array in facts.values.get(str(output.name), ())]
    return len(seen) > 0 and all(array.ndim <= 1 for array in seen)


def _known(editor: Editor, facts: Facts, node: ir.Node, index: int, value: ir.Value) -> ir.Value | None:
    array = facts.array(value)
    if array is not None:
        return editor.store(array) if array.nbytes <= _FOLDED_BYTES else None
    if index == 1 and is_standard(node, "Reshape"):
        target = _reshape_target(facts, node)
        if target is not None:
            return editor.store(target, np.int64)
    return _from_inputs(editor, facts, value)


def _reshape_target(facts: Facts, node: ir.Node) -> list[int] | None:
    before, after = facts.shape(node.inputs[0]), facts.shape(node.outputs[0])
    if before is None or after is None:
        return None
    target: list[int] = []
    for axis, size in enumerate(after):
        if isinstance(size, int):
            target.append(size)
        elif axis < len(before) and isinstance(size, Symbol) and before[axis] == size:
            target.append(0)
        else:
            target.append(-1)
    # A size of zero cannot be told from "copy"; a single -1 is all that can be inferred.
    return target if target.count(-1) <= 1 and 0 not in after else None


def _from_inputs(editor: Editor, facts: Facts, value: ir.Value) -> ir.Value | None:
    """A vector of sizes as pieces of the inputs' shapes and constants, unless it is made so already."""
    seen = facts.values[str(value.name)]
    if editor.graph.opset_imports.get("", 0) < _SHAPE_WITH_ENDS or _is_direct(value, editor):
        return None
    if any(a.ndim != 1 or a.dtype != np.int64 or a.shape != seen[0].shape or not a.size for a in seen):
        return None
    sizes: list[Size] = [facts.size([int(a[i]) for a in seen]) for i in range(seen[0].size)]
    inputs = {str(v.name): v for v in editor.graph.inputs}
    pieces: list[ir.Value | None] = []
    run: list[int] = []
    for size in sizes:
        if isinstance(size, int):
            run.append(size)
            continue
        if size is None or size.factor != 1:
            return None
        if run:
            pieces.append(editor.store(run, np.int64))
            run = []
        pieces.append(editor.node("Shape", [inputs[size.source]], {"start": size.axis, "end": size.axis + 1}))
    if run:
        pieces.append(editor.store(run, np.int64))
    return editor.node("Concat", pieces, {"axis": 0}) if len(pieces) > 1 else pieces[0]


def _is_direct(value: ir.Value, editor: Editor) -> bool:
    node = value.producer()
    if node is None:
        return True
    if is_standard(node, "Concat"):
        return all(v is not None and (constant(v) is not None or _is_direct(v, editor)) for v in node.inputs)
    return is_standard(node, "Shape") and node.inputs[0] in editor.graph.inputs
