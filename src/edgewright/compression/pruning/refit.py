"""Refit: every layer in turn solved by least squares towards what the dense network computed there.

The pruned network's own activations are what a layer is fitted on, so each repairs what those before it left. Where a
layer ends in an Add, its target is the dense sum less the pruned other operand: the branch takes up the skip's error.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from edgewright.compression.contract import Context
from edgewright.compression.pruning.layers import Layer, as_layer
from edgewright.compression.pruning.rows import choose_places, read, written
from edgewright.compression.pruning.shrink import Kept, store
from edgewright.compression.pruning.stepper import Stepper
from edgewright.core.session import Arrays
from edgewright.graphs.graph import constant

Matrix = NDArray[np.float64]

_RIDGES = (1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0)
_ROWS = 24_000
_HELD_OUT = 0.2


@dataclass(frozen=True)
class Fit:
    """A layer's new weight (outputs, inputs*taps) and what to add to its bias (outputs,)."""

    weight: Matrix
    shift: Matrix


def refit(dense: ir.Model, pruned: ir.Model, kept: Mapping[str, Kept], batches: list[Arrays], context: Context) -> int:
    """Solve the layers of ``pruned`` in place; how many changed. Both graphs have the same nodes in the same order.

    ``kept`` maps a value's name to the channel positions of the dense one that the pruned one still has.
    """
    first = Stepper(dense.graph, batches, dense.opset_imports)
    second = Stepper(pruned.graph, batches, pruned.opset_imports)
    changed = 0
    for old, new in zip(list(dense.graph), list(pruned.graph), strict=True):
        context.checkpoint()
        layer = as_layer(new)
        first.step(old)
        if (
            layer is not None
            and layer.kind != "grouped"
            and len(layer.weight.uses()) == 1
            and first.values.get(_name(new))
        ):
            changed += _refit_one(layer, old, first, second, kept, pruned.graph, context.seed)
        second.step(new)
    return changed


def _name(node: ir.Node) -> str:
    return str(node.outputs[0].name)


def _refit_one(
    layer: Layer, old: ir.Node, first: Stepper, second: Stepper, kept: Mapping[str, Kept], graph: ir.Graph, seed: int
) -> int:
    name = _name(old)
    dense = first.values[name]
    width = layer.inputs * layer.taps if layer.kind != "depthwise" else layer.taps
    places = choose_places(layer, dense, max(_ROWS, 16 * width), seed)
    target = written(layer, dense, places)
    if name in kept:
        target = target[:, kept[name]]
    other = _other_operand(layer)
    if other is not None and other in first.values and other in second.values:
        whole, left = written(layer, first.values[other], places), written(layer, second.values[other], places)
        if name in kept and left.shape[1] == target.shape[1] and whole.shape[0] == target.shape[0] == left.shape[0]:
            target = target + whole[:, kept[name]] - left
    rows = read(layer, second.values[str(layer.data.name)], places)
    bias = layer.bias()
    if layer.kind != "matmul" and bias is not None:
        target = target - bias
    weight = layer.array().astype(np.float64).reshape(layer.outputs, -1)
    fit = _solve_depthwise(rows, target, weight) if layer.kind == "depthwise" else _solve(
        rows.reshape(rows.shape[0], -1), target, weight, intercept=bias is not None)  # fmt: skip
    if fit is None:
        return 0
    array = fit.weight.reshape(layer.array().shape).astype(np.float32)
    store(graph, layer.node, 1, array.T if layer.transposed else array)
    if bias is not None:
        _set_bias(graph, layer, (bias + fit.shift).astype(np.float32))
    return 1


def _other_operand(layer: Layer) -> str | None:
    """The value that is added to the layer's output, if an Add is its only reader."""
    readers = layer.output.consumers()
    if len(readers) != 1 or readers[0].op_type != "Add" or layer.output.is_graph_output():
        return None
    other = next((v for v in readers[0].inputs if v is not layer.output), None)
    return None if other is None or constant(other) is not None else str(other.name)


def _set_bias(graph: ir.Graph, layer: Layer, bias: NDArray[np.float32]) -> None:
    if layer.kind != "matmul":
        store(graph, layer.node, 2, bias)
        return
    assert layer.bias_node is not None  # noqa: S101 - a matmul without one has bias() None
    index = next(i for i, v in enumerate(layer.bias_node.inputs) if constant(v) is not None)
    held = constant(layer.bias_node.inputs[index])
    store(graph, layer.bias_node, index, bias.reshape(held.shape))


def _solve(rows: Matrix, target: Matrix, weight: Matrix, *, intercept: bool) -> Fit | None:
    """Ridge regression of what ``weight`` misses, pulled towards ``weight``; the ridge chosen on held-out rows.

    Returns None where the weight misses nothing worth repairing.
    """
    missed = target - rows @ weight.T
    if not np.abs(missed).max(initial=0.0) > 1e-6 * max(np.abs(target).max(initial=0.0), 1e-12):
        return None
    cut = int(rows.shape[0] * (1 - _HELD_OUT))
    best = _choose_ridge(rows, missed, cut, intercept)
    if best is None:
        return None
    change, shift = _ridge(*_centre(rows, missed, intercept), best)
    return Fit(weight + change.T, shift)


def _choose_ridge(rows: Matrix, missed: Matrix, cut: int, intercept: bool) -> float | None:
    held_rows, held_missed = rows[cut:], missed[cut:]
    if cut < 8 or held_rows.shape[0] < 4:
        return _RIDGES[-2]
    parts = _centre(rows[:cut], missed[:cut], intercept)
    least, chosen = float(np.sum(held_missed**2)), None
    for ridge in _RIDGES:
        change, shift = _ridge(*parts, ridge)
        error = float(np.sum((held_missed - held_rows @ change - shift) ** 2))
        if error < least:
            least, chosen = error, ridge
    return chosen


def _centre(rows: Matrix, missed: Matrix, intercept: bool) -> tuple[Matrix, Matrix, Matrix, Matrix]:
    """Covariance, cross-covariance and the two means."""
    middle = rows.mean(axis=0) if intercept else np.zeros(rows.shape[1])
    offset = missed.mean(axis=0) if intercept else np.zeros(missed.shape[1])
    centred = rows - middle
    return centred.T @ centred / rows.shape[0], centred.T @ (missed - offset) / rows.shape[0], middle, offset


def _ridge(covariance: Matrix, cross: Matrix, middle: Matrix, offset: Matrix, ridge: float) -> tuple[Matrix, Matrix]:
    size = covariance.shape[0]
    damped = covariance + np.eye(size) * (ridge * max(float(np.trace(covariance)) / size, 1e-12))
    change = np.linalg.solve(damped, cross)
    return change, offset - middle @ change


def _solve_depthwise(rows: Matrix, target: Matrix, weight: Matrix) -> Fit | None:
    """Each channel by itself: rows (n, channels, taps), target (n, outputs), weight (outputs, taps)."""
    multiplier = weight.shape[0] // rows.shape[1]
    if multiplier != 1:
        rows = np.repeat(rows, multiplier, axis=1)
    missed = target - np.einsum("nct,ct->nc", rows, weight)
    if not np.abs(missed).max(initial=0.0) > 1e-6 * max(np.abs(target).max(initial=0.0), 1e-12):
        return None
    middle, offset = rows.mean(axis=0), missed.mean(axis=0)
    centred = (rows - middle).transpose(1, 0, 2)
    covariance = centred.transpose(0, 2, 1) @ centred / rows.shape[0]
    cross = centred.transpose(0, 2, 1) @ (missed - offset).T[:, :, None] / rows.shape[0]
    taps = rows.shape[2]
    damping = 1e-3 * np.maximum(np.trace(covariance, axis1=1, axis2=2) / taps, 1e-9)
    change = np.linalg.solve(covariance + damping[:, None, None] * np.eye(taps), cross)[:, :, 0]
    return Fit(weight + change, offset - np.einsum("ct,ct->c", middle, change))
