"""Linear layers, whatever they are spelled with, and moving them out from between movements."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from edgewright.compression.rewriting.editor import Editor, integer, is_standard, number, sole_reader
from edgewright.compression.rewriting.facts import Facts
from edgewright.compression.rewriting.movement import Trail, back, end_of, forth
from edgewright.graphs.graph import constant


@dataclass(frozen=True)
class Linear:
    """``output`` = ``data`` @ ``weight`` + ``bias``: weight (inputs, outputs), bias (outputs,) or None, float32.

    ``node`` is the MatMul or Gemm.
    """

    node: ir.Node
    weight: NDArray[np.float32]
    bias: NDArray[np.float32] | None
    output: ir.Value

    @property
    def data(self) -> ir.Value:
        """What it reads now: edits elsewhere may have replaced it since the layer was found."""
        data = self.node.inputs[0]
        assert data is not None  # noqa: S101 - as_linear has looked
        return data


def as_linear(value: ir.Value) -> Linear | None:
    """The linear layer that makes ``value``, or None."""
    node = value.producer()
    if node is None:
        return None
    if is_standard(node, "Add"):
        for product, bias in (node.inputs, reversed(node.inputs)):
            inner = product.producer() if product is not None else None
            array = constant(bias)
            if array is None or not is_standard(inner, "MatMul") or inner is None:
                continue
            whole = as_linear(inner.outputs[0])
            if whole is not None and _is_bias(array, whole.weight.shape[1]):
                flat = np.broadcast_to(array.ravel(), (whole.weight.shape[1],))
                return Linear(inner, whole.weight, flat, value)
        return None
    if not is_standard(node, "MatMul", "Gemm") or node.inputs[0] is None or constant(node.inputs[0]) is not None:
        return None
    weight = constant(node.inputs[1])
    if weight is None or weight.dtype != np.float32 or weight.ndim != 2:
        return None
    return Linear(node, weight, None, value) if node.op_type == "MatMul" else _gemm(node, weight, value)


def layers(graph: ir.Graph) -> Iterator[Linear]:
    """Every linear layer of the main graph, its bias's Add included where nothing else reads the product."""
    for node in list(graph):
        if node.graph is None or not is_standard(node, "MatMul", "Gemm"):
            continue
        reader = sole_reader(node.outputs[0])
        whole = as_linear(reader.outputs[0]) if is_standard(reader, "Add") and reader is not None else None
        found = whole if whole is not None else as_linear(node.outputs[0])
        if found is not None:
            yield found


def _is_bias(array: NDArray[Any], outputs: int) -> bool:
    shaped = array.ndim <= 1 or array.shape[-1] == array.size
    return array.dtype == np.float32 and shaped and array.size in (1, outputs) and array.ndim <= 2


def _gemm(node: ir.Node, weight: NDArray[np.float32], value: ir.Value) -> Linear | None:
    if integer(node, "transA", 0) or node.inputs[0] is None:
        return None
    if integer(node, "transB", 0):
        weight = weight.T
    alpha, beta = number(node, "alpha", 1.0), number(node, "beta", 1.0)
    if alpha != 1.0:
        weight = (weight * np.float32(alpha)).astype(np.float32)
    bias = node.inputs[2] if len(node.inputs) > 2 else None
    if bias is None:
        return Linear(node, weight, None, value)
    array = constant(bias)
    if array is None or not _is_bias(array, weight.shape[1]):
        return None
    flat = np.broadcast_to(array.ravel(), (weight.shape[1],))
    return Linear(node, weight, (flat * np.float32(beta)).astype(np.float32), value)


def write_linear(editor: Editor, data: ir.Value, weight: NDArray[Any], bias: NDArray[Any] | None) -> ir.Value:
    """MatMul, and an Add where there is a bias."""
    product = editor.node("MatMul", [data, editor.store(weight, np.float32)])
    return product if bias is None else editor.node("Add", [product, editor.store(bias, np.float32)])


def straighten(editor: Editor, facts: Facts) -> int:
    """Linear layers between a Transpose and its reverse (attention in torch runs sequence first) run as they are.

    A linear layer treats every row alike; where the movement before and the one behind it cancel, both go. Returns how
    many were straightened.
    """
    count = 0
    for layer in layers(editor.graph):
        found = _cancelling(layer, facts)
        if found is not None:
            source, end = found
            editor.replace(end, write_linear(editor, source, layer.weight, layer.bias))
            count += 1
    return count


def _cancelling(layer: Linear, facts: Facts) -> tuple[ir.Value, ir.Value] | None:
    """A source before and an end behind, between which rows come back to where they were, a Transpose on each side."""
    for before in back(layer.data, facts):
        if not _transposes(before):
            continue
        for behind in forth(layer.output):
            if _transposes(behind) and _same_rows(before, behind, facts):
                return before.source, end_of(behind)
    return None


def _transposes(trail: Trail) -> bool:
    return any(node.op_type == "Transpose" for node, _ in trail.links)


def _same_rows(before: Trail, behind: Trail, facts: Facts) -> bool:
    runs = facts.runs(before.source)
    for run in range(min(2, len(runs))):
        into, out = rows(before, facts, run), rows(behind, facts, run)
        start, end = runs[run], facts.runs(end_of(behind))[run]
        if into is None or out is None or start[:-1] != end[:-1]:
            return False
        if not np.array_equal(into[out], np.arange(into.size)):
            return False
    return bool(runs)


def rows(trail: Trail, facts: Facts, run: int) -> NDArray[np.int64] | None:
    """Which row of the source each row at the trail's end is, when rows (the last axis) arrive whole and in order."""
    moved = trail.trace(facts, run)
    shape = facts.runs(trail.source)[run]
    if moved is None or not shape or moved.ndim == 0 or moved.shape[-1] != shape[-1] or shape[-1] == 0:
        return None
    table = moved.reshape(-1, shape[-1])
    if not np.array_equal(table % shape[-1], np.broadcast_to(np.arange(shape[-1]), table.shape)):
        return None
    found: NDArray[np.int64] = table[:, 0] // shape[-1]
    return found
