"""Movements: operators that carry values to other places, followed by the places themselves.

What a chain of Reshape, Transpose, Split, Gather... does is found by sending the indices of its source through it, at
the sizes of an observed run. So one rule recognises a layout whatever operators an exporter spelled it with.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from edgewright.compression.rewriting.editor import axis_index, integer, is_standard, sole_reader
from edgewright.compression.rewriting.facts import Facts
from edgewright.graphs.graph import constant

_RESHAPES = ("Reshape", "Squeeze", "Unsqueeze", "Flatten", "Identity")
_MOVERS = (*_RESHAPES, "Transpose", "Gather", "Slice", "Split")
_LIMIT = 2**26  # indices traced at once; beyond, a chain counts as not understood

Indices = NDArray[np.int64]


@dataclass(frozen=True)
class Trail:
    """``source`` reaches the value a walk began at through ``links`` (in order of the data), times ``scale``."""

    source: ir.Value
    links: tuple[tuple[ir.Node, ir.Value], ...] = ()
    scale: float = 1.0

    def trace(self, facts: Facts, run: int) -> Indices | None:
        """Where each value comes from, as flat indices into ``source``, in the shape of the walk's beginning."""
        shapes = facts.runs(self.source)
        if run >= len(shapes) or np.prod(shapes[run], dtype=np.float64) > _LIMIT:
            return None
        indices: Indices | None = np.arange(np.prod(shapes[run], dtype=np.int64)).reshape(shapes[run])
        for node, output in self.links:
            if indices is None:
                return None
            indices = _move(indices, node, output, facts, run)
        return indices


def fixed(value: ir.Value | None, facts: Facts) -> NDArray[np.generic] | None:
    """What ``value`` always holds: a constant, or shape arithmetic that always comes to the same."""
    array = constant(value)
    return array if array is not None else facts.array(value)


def scalar(value: ir.Value | None, facts: Facts) -> float | None:
    """The one number ``value`` always holds."""
    array = fixed(value, facts)
    return float(array.reshape(())) if array is not None and array.size == 1 and array.dtype.kind == "f" else None


def scaled(node: ir.Node | None, facts: Facts) -> tuple[ir.Value, float] | None:
    """The data and the factor of a Mul or Div by a number that leaves the shape alone."""
    if not is_standard(node, "Mul", "Div") or node is None:
        return None
    left, right = node.inputs
    for data, other in ((left, right), (right, left))[: 2 if node.op_type == "Mul" else 1]:
        factor = scalar(other, facts)
        if factor and data is not None and facts.runs(data) == facts.runs(node.outputs[0]):
            return data, factor if node.op_type == "Mul" else 1 / factor
    return None


def back(value: ir.Value, facts: Facts, scales: bool = False) -> Iterator[Trail]:
    """From ``value`` towards where it comes from, one movement further each time; the first is no movement at all."""
    trail = Trail(value)
    while True:
        yield trail
        node = trail.source.producer()
        if node is None:
            return
        if is_standard(node, *_MOVERS) and node.inputs[0] is not None:
            trail = Trail(node.inputs[0], ((node, trail.source), *trail.links), trail.scale)
            continue
        found = scaled(node, facts) if scales else None
        if found is None:
            return
        trail = Trail(found[0], ((node, trail.source), *trail.links), trail.scale * found[1])


def forth(value: ir.Value) -> Iterator[Trail]:
    """From ``value`` towards its readers, as long as each has one reader and that one only moves."""
    trail = Trail(value)
    end = value
    while True:
        yield trail
        reader = sole_reader(end)
        if not is_standard(reader, *_RESHAPES, "Transpose") or reader is None or reader.inputs[0] is not end:
            return
        end = reader.outputs[0]
        trail = Trail(value, (*trail.links, (reader, end)))


def end_of(trail: Trail) -> ir.Value:
    """The value a trail leads to."""
    return trail.links[-1][1] if trail.links else trail.source


def _move(indices: Indices, node: ir.Node, output: ir.Value, facts: Facts, run: int) -> Indices | None:
    shapes = facts.runs(output)
    if run >= len(shapes):
        return None
    moved: Indices | None = indices
    if node.op_type == "Transpose":
        perm = node.attributes.get("perm")
        moved = indices.transpose(perm.as_ints() if perm is not None else None)
    elif node.op_type == "Gather":
        where = fixed(node.inputs[1], facts)
        moved = None if where is None else np.take(indices, where.astype(np.int64), axis=integer(node, "axis", 0))
    elif node.op_type == "Slice":
        moved = _slice(indices, node, facts)
    elif node.op_type == "Split":
        axis, start = axis_index(integer(node, "axis", 0), indices.ndim), 0
        for part in node.outputs:
            if part is output:
                break
            seen = facts.runs(part)
            if not seen:
                return None
            start += seen[run][axis]
        moved = indices.take(range(start, start + shapes[run][axis]), axis=axis)
    elif indices.size != np.prod(shapes[run], dtype=np.int64):
        moved = None
    else:
        moved = indices.reshape(shapes[run])
    return moved if moved is not None and moved.shape == shapes[run] else None


def _slice(indices: Indices, node: ir.Node, facts: Facts) -> Indices | None:
    if "starts" in node.attributes:  # before opset 10
        return None
    given = [fixed(v, facts) for v in node.inputs[1:]]
    if any(array is None for array, value in zip(given, node.inputs[1:], strict=True) if value is not None):
        return None
    starts, ends, axes, steps = [*given, None, None][:4]
    if starts is None or ends is None:
        return None
    places = range(len(starts)) if axes is None else [axis_index(int(a), indices.ndim) for a in axes]
    strides = [1] * len(starts) if steps is None else [int(s) for s in steps]
    if any(s <= 0 for s in strides):
        return None
    cut = [slice(None)] * indices.ndim
    for place, start, end, stride in zip(places, starts, ends, strides, strict=True):
        cut[place] = slice(int(start), int(end), stride)
    return indices[tuple(cut)]
