"""Shrink: take channels out of weights, biases and constants, so that the graph really is smaller."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from edgewright.compression.pruning.channels import BINARY, Channels, Ids
from edgewright.compression.pruning.layers import Layer
from edgewright.graphs.graph import constant

Kept = NDArray[np.int64]


def shrink(graph: ir.Graph, found: Channels, removed: frozenset[int]) -> dict[ir.Value, Kept]:
    """Rewrite ``graph`` without the removed roots; the kept channel positions of every value that has channels."""
    kept = {value: _positions(found, lane.ids, removed) for value, lane in found.lanes.items()}
    layers = {layer.node: layer for layer in found.layers}
    done: dict[tuple[Any, ...], ir.Value] = {}
    for node in graph:
        if node in layers:
            _layer(graph, layers[node], kept, done)
        elif node in found.opaque:
            continue
        elif node.op_type in BINARY:
            _binary(graph, node, found, kept)
        elif node.op_type == "BatchNormalization":
            for index in range(1, 5):
                _replace(graph, node, index, constant(node.inputs[index])[kept[node.outputs[0]]])
        elif node.op_type == "Reshape" and node.outputs[0] in found.lanes:
            _reshape(graph, node, found, kept)
    return kept


def store(graph: ir.Graph, node: ir.Node, index: int, array: NDArray[Any]) -> ir.Value:
    """Put a constant of its own at an input of ``node``; what stood there goes when nothing else reads it."""
    old = node.inputs[index] if index < len(node.inputs) else None
    stem = old.name if old is not None and old.name else "constant"
    name = f"{stem}.{len(graph.initializers)}"
    while name in graph.initializers:
        name += "_"
    value = ir.Value(name=name, const_value=ir.tensor(np.ascontiguousarray(array), name=name))
    graph.register_initializer(value)
    if index >= len(node.inputs):
        node.resize_inputs(index + 1)
    node.replace_input_with(index, value)
    return value


def _replace(graph: ir.Graph, node: ir.Node, index: int, array: NDArray[Any]) -> None:
    if array.shape != constant(node.inputs[index]).shape:
        store(graph, node, index, array)


def _positions(found: Channels, ids: Ids, removed: frozenset[int]) -> Kept:
    if not removed:
        return np.arange(ids.size)
    return np.flatnonzero(~np.isin(found.roots(ids), list(removed)))


def _layer(graph: ir.Graph, layer: Layer, kept: dict[ir.Value, Kept], done: dict[tuple[Any, ...], ir.Value]) -> None:
    node, made, read = layer.node, kept[layer.output], kept[layer.data]
    if made.size == layer.outputs and read.size == layer.inputs:
        return
    array = layer.array()[made]
    if layer.kind == "depthwise":
        node.attributes["group"] = ir.AttrInt64("group", int(read.size))
    else:
        array = array[:, read]
    key = (layer.weight, made.tobytes(), read.tobytes())
    if key in done:
        node.replace_input_with(1, done[key])
    else:
        done[key] = store(graph, node, 1, array.T if layer.transposed else array)
    if layer.kind != "matmul" and len(node.inputs) > 2 and node.inputs[2] is not None:
        bias = constant(node.inputs[2])
        if bias.size == layer.outputs:
            _replace(graph, node, 2, bias.reshape(-1)[made])


def _binary(graph: ir.Graph, node: ir.Node, found: Channels, kept: dict[ir.Value, Kept]) -> None:
    output = node.outputs[0]
    if output not in found.lanes:
        return
    lane = found.lanes[output]
    for index, value in enumerate(node.inputs):
        array = constant(value)
        if array is None:
            continue
        # Shapes broadcast from the right: the constant's axis over the channel axis, if it reaches that far.
        axis = lane.axis - (found.ranks[output] - array.ndim)
        if axis >= 0 and array.shape[axis] == lane.ids.size > 1:
            _replace(graph, node, index, np.take(array, kept[output], axis=axis))


def _reshape(graph: ir.Graph, node: ir.Node, found: Channels, kept: dict[ir.Value, Kept]) -> None:
    sizes = constant(node.inputs[1]).copy()
    output = node.outputs[0]
    axis = found.lanes[output].axis
    if sizes[axis] > 0:
        sizes[axis] = kept[output].size
        if not np.array_equal(sizes, constant(node.inputs[1])):
            store(graph, node, 1, sizes)
