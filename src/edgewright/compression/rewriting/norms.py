"""Normalisations written out by exporters, as one operator: LayerNormalization and RMSNormalization.

Ba et al., "Layer Normalization", arXiv:1607.06450; Zhang and Sennrich, "Root Mean Square Layer Normalization",
NeurIPS 2019.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from edgewright.compression.rewriting.editor import Editor, axis_index, integer, is_standard, sole_reader
from edgewright.compression.rewriting.facts import Facts
from edgewright.compression.rewriting.movement import fixed, scalar
from edgewright.graphs.graph import constant

LAYER_OPSET, RMS_OPSET = 17, 23


@dataclass(frozen=True)
class _Normal:
    """``output`` is ``data``, divided by its spread over ``axis`` and the ones behind; centred first or not."""

    data: ir.Value
    axis: int
    epsilon: float
    centred: bool
    output: ir.Value


def fuse_layer_norms(editor: Editor, facts: Facts) -> int:
    """LayerNormalization out of Sub, Pow, ReduceMean, Sqrt, Div, Mul, Add; returns how many."""
    return _fuse(editor, facts, centred=True)


def fuse_rms_norms(editor: Editor, facts: Facts) -> int:
    """RMSNormalization likewise."""
    return _fuse(editor, facts, centred=False)


def _fuse(editor: Editor, facts: Facts, centred: bool) -> int:
    count = 0
    for node in list(editor.graph):
        if node.graph is None or not is_standard(node, "Div", "Mul"):
            continue
        normal = _normal(node, facts)
        if normal is None or normal.centred != centred:
            continue
        shape = facts.shape(normal.data)
        if shape is None:
            continue
        sizes = tuple(s for s in shape[normal.axis :] if isinstance(s, int))
        if len(sizes) != len(shape) - normal.axis:
            continue
        scale, end = _parameter(normal.output, "Mul", sizes, facts)
        if scale is None:
            scale = np.ones(sizes, np.float32)
        shift, end = _parameter(end, "Add", sizes, facts) if centred else (None, end)
        inputs = [normal.data, editor.store(scale), *([] if shift is None else [editor.store(shift)])]
        op = "LayerNormalization" if centred else "RMSNormalization"
        made = editor.node(op, list(inputs), {"axis": -len(sizes), "epsilon": normal.epsilon})
        editor.replace(end, made)
        count += 1
    return count


def _normal(node: ir.Node, facts: Facts) -> _Normal | None:
    """x / sqrt(mean(x^2) + e), or x * (1 / sqrt(...)), where x may be centred."""
    left, right = node.inputs
    data, found = left, _root(right, facts) if node.op_type == "Div" else _inverse_root(right, facts)
    if found is None and node.op_type == "Mul":
        data, found = right, _inverse_root(left, facts)
    if data is None or found is None:
        return None
    mean, epsilon = found
    squared = _squared(mean.inputs[0], facts)
    axis = _axis(mean, facts)
    if squared is None or axis is None or facts.runs(squared) != facts.runs(data):
        return None
    source = _centred(data, axis, facts)
    if source is not None and (squared is data or _centred(squared, axis, facts) is source):
        return _Normal(source, axis, epsilon, True, node.outputs[0])
    return _Normal(data, axis, epsilon, False, node.outputs[0]) if squared is data else None


def _root(value: ir.Value | None, facts: Facts) -> tuple[ir.Node, float] | None:
    """The ReduceMean and epsilon of sqrt(mean + epsilon), also as a power of 0.5."""
    node = value.producer() if value is not None else None
    if node is None:
        return None
    if not is_standard(node, "Sqrt") and not (is_standard(node, "Pow") and scalar(node.inputs[1], facts) == 0.5):
        return None
    added = node.inputs[0].producer() if node.inputs[0] is not None else None
    if added is None or not is_standard(added, "Add"):
        return None
    for inner, epsilon in (added.inputs, reversed(added.inputs)):
        number = scalar(epsilon, facts)
        mean = inner.producer() if inner is not None else None
        if number is not None and number >= 0 and is_standard(mean, "ReduceMean") and mean is not None:
            return mean, number
    return None


def _inverse_root(value: ir.Value | None, facts: Facts) -> tuple[ir.Node, float] | None:
    node = value.producer() if value is not None else None
    if node is None:
        return None
    if is_standard(node, "Reciprocal"):
        return _root(node.inputs[0], facts)
    if is_standard(node, "Div") and scalar(node.inputs[0], facts) == 1.0:
        return _root(node.inputs[1], facts)
    return None


def _squared(value: ir.Value | None, facts: Facts) -> ir.Value | None:
    node = value.producer() if value is not None else None
    if node is None:
        return None
    if is_standard(node, "Pow") and scalar(node.inputs[1], facts) == 2.0:
        return node.inputs[0]
    return node.inputs[0] if is_standard(node, "Mul") and node.inputs[0] is node.inputs[1] else None


def _axis(mean: ir.Node, facts: Facts) -> int | None:
    """The first of the trailing axes that ``mean`` reduces, kept as size 1; None for any other reduction."""
    shape = facts.shape(mean.inputs[0])
    given = mean.attributes.get("axes")
    axes = given.as_ints() if given is not None else fixed(mean.inputs[1], facts) if len(mean.inputs) > 1 else None
    if shape is None or axes is None or not integer(mean, "keepdims", 1):
        return None
    places = sorted(axis_index(int(a), len(shape)) for a in axes)
    return places[0] if places and places == list(range(places[0], len(shape))) else None


def _centred(value: ir.Value, axis: int, facts: Facts) -> ir.Value | None:
    """x, where ``value`` is x minus its mean over the same axes."""
    node = value.producer()
    if node is None or not is_standard(node, "Sub") or node.inputs[1] is None:
        return None
    mean = node.inputs[1].producer()
    if mean is None or not is_standard(mean, "ReduceMean") or mean.inputs[0] is not node.inputs[0]:
        return None
    return node.inputs[0] if _axis(mean, facts) == axis else None


def _parameter(
    value: ir.Value, op_type: str, sizes: tuple[int, ...], facts: Facts
) -> tuple[np.ndarray[tuple[int, ...], np.dtype[np.float32]] | None, ir.Value]:
    """The constant that the only reader of ``value`` multiplies with or adds, and the value behind it."""
    reader = sole_reader(value)
    if reader is None or not is_standard(reader, op_type):
        return None, value
    other = constant(reader.inputs[1 if reader.inputs[0] is value else 0])
    if other is None or other.dtype != np.float32 or facts.runs(value) != facts.runs(reader.outputs[0]):
        return None, value
    if other.ndim > len(sizes):
        if other.shape[: other.ndim - len(sizes)] != (1,) * (other.ndim - len(sizes)):
            return None, value
        other = other.reshape(other.shape[other.ndim - len(sizes) :])
    return np.broadcast_to(other, sizes).copy(), reader.outputs[0]
