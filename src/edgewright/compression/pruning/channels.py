"""Dependency groups: an identity for every channel, carried through the graph, united where channels must go together.

Each value that has a channel axis gets one identity per channel. Convolutions and matrix products make new ones,
element-wise operators unite theirs with a union-find, concatenation joins the lists, depthwise convolutions hand them
on, flattening repeats them. What no rule covers is frozen. The atoms that remain can be removed one by one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from edgewright.compression.pruning.layers import Layer, as_layer
from edgewright.graphs.graph import constant

Ids = NDArray[np.int64]

UNARY = frozenset(
    {"Relu", "Clip", "Sigmoid", "Tanh", "LeakyRelu", "Elu", "Selu", "HardSwish", "HardSigmoid", "Gelu", "Erf",
     "Identity", "Dropout", "Neg", "Abs", "Sqrt", "Exp", "Log", "Softplus", "Softsign", "Mish", "Celu",
     "ThresholdedRelu", "Reciprocal"}
)  # fmt: skip
SPATIAL = frozenset(
    {"MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool", "LpPool", "GlobalLpPool", "InstanceNormalization"}
)
BINARY = frozenset({"Add", "Sub", "Mul", "Div", "Min", "Max", "Pow"})


@dataclass(frozen=True)
class Lane:
    """Where a value's channels are: the axis, and each channel's identity."""

    axis: int
    ids: Ids


@dataclass
class Channels:
    """The analysis. ``lanes`` by value; ``root`` resolves an identity; ``frozen`` holds roots that must stay."""

    lanes: dict[ir.Value, Lane] = field(default_factory=dict)
    layers: list[Layer] = field(default_factory=list)
    opaque: dict[ir.Node, None] = field(default_factory=dict)
    ranks: dict[ir.Value, int] = field(default_factory=dict)
    _parent: list[int] = field(default_factory=list)
    _frozen: set[int] = field(default_factory=set)

    def fresh(self, count: int) -> Ids:
        """New identities."""
        start = len(self._parent)
        self._parent.extend(range(start, start + count))
        return np.arange(start, start + count)

    def root(self, i: int) -> int:
        """The representative of an identity's class."""
        while self._parent[i] != i:
            self._parent[i] = self._parent[self._parent[i]]
            i = self._parent[i]
        return i

    def roots(self, ids: Ids) -> Ids:
        """Representatives, elementwise."""
        return np.array([self.root(int(i)) for i in ids], dtype=np.int64)

    def unite(self, a: Ids, b: Ids) -> None:
        """Make channels pairwise inseparable."""
        for x, y in zip(a, b, strict=True):
            first, second = self.root(int(x)), self.root(int(y))
            if first != second:
                self._parent[max(first, second)] = min(first, second)

    def freeze(self, value: ir.Value | None) -> None:
        """The channels of ``value`` must stay."""
        if value is not None and value in self.lanes:
            self._frozen.update(int(i) for i in self.lanes[value].ids)

    def frozen(self) -> set[int]:
        """Roots that must stay."""
        return {self.root(i) for i in self._frozen}

    def groups(self) -> list[Group]:
        """Atoms by the layers that make them: channels of one group compete with one another."""
        frozen = self.frozen()
        makers: dict[int, list[int]] = defaultdict(list)
        for index, layer in enumerate(self.layers):
            if layer.kind != "depthwise":
                for root in sorted(set(self.roots(self.lanes[layer.output].ids).tolist())):
                    makers[root].append(index)
        found: dict[tuple[int, ...], list[int]] = defaultdict(list)
        for root, made_by in sorted(makers.items()):
            if root not in frozen:
                found[tuple(made_by)].append(root)
        return [Group(made_by, np.array(atoms)) for made_by, atoms in found.items()]


@dataclass(frozen=True)
class Group:
    """Atoms (roots) made by the same layers (indices into ``Channels.layers``)."""

    made_by: tuple[int, ...]
    atoms: Ids


Shapes = Mapping[str, tuple[int, ...]]


def analyse(graph: ir.Graph, shapes: Shapes) -> Channels:
    """Channel identities of every value of the main graph; ``shapes`` are concrete ones by value name."""
    found = Channels()
    shared: dict[ir.Value, Layer] = {}
    for value in graph.inputs:
        _opaque(found, value, shapes)
    for node in graph:
        found.ranks.update({v: len(shapes[str(v.name)]) for v in node.outputs if str(v.name) in shapes})
        layer = as_layer(node)
        if layer is not None:
            _layer(found, layer, shapes, shared)
        elif node.domain not in ("", "ai.onnx") or not _passes(found, node, shapes):
            _give_up(found, node, shapes)
    for value in graph.outputs:
        found.freeze(value)
    for value in list(found.lanes):
        if any(reader.graph is not graph for reader, _ in value.uses()):
            found.freeze(value)
    return found


def _opaque(found: Channels, value: ir.Value, shapes: Shapes) -> None:
    """A value whose channels exist but must stay: a graph input, an unknown operator's result."""
    shape = shapes.get(str(value.name), ())
    if len(shape) >= 2:
        axis = 1 if len(shape) >= 4 else len(shape) - 1
        found.lanes[value] = Lane(axis, found.fresh(shape[axis]))
        found.freeze(value)


def _give_up(found: Channels, node: ir.Node, shapes: Shapes) -> None:
    found.opaque[node] = None
    for value in node.inputs:
        found.freeze(value)
    for value in node.outputs:
        found.lanes.pop(value, None)
        _opaque(found, value, shapes)


def _layer(found: Channels, layer: Layer, shapes: Shapes, shared: dict[ir.Value, Layer]) -> None:
    lane = found.lanes.get(layer.data)
    rank = len(shapes[str(layer.data.name)])
    axis = 1 if layer.kind in ("conv", "depthwise") else rank - 1
    if lane is None or lane.axis != axis or lane.ids.size != layer.inputs:
        # What it reads along another axis stays as it is; what it writes is its own all the same.
        found.freeze(layer.data)
        lane = Lane(axis, found.fresh(layer.inputs))
        found.lanes[layer.data] = lane
        found.freeze(layer.data)
    if layer.kind == "depthwise":
        ids = np.repeat(lane.ids, layer.outputs // layer.inputs)
    elif layer.kind == "grouped":
        found.freeze(layer.data)
        ids = found.fresh(layer.outputs)
    else:
        ids = found.fresh(layer.outputs)
    out_axis = 1 if layer.kind in ("conv", "depthwise", "grouped") else len(shapes[str(layer.output.name)]) - 1
    for value in {layer.node.outputs[0], layer.output}:
        found.lanes[value] = Lane(out_axis, ids)
    if layer.kind == "grouped":
        found.freeze(layer.output)
        found.opaque[layer.node] = None
        return
    twin = shared.setdefault(layer.weight, layer)
    if twin is not layer:
        found.unite(found.lanes[twin.output].ids, ids)
        found.unite(found.lanes[twin.data].ids, lane.ids)
    found.layers.append(layer)


def _passes(found: Channels, node: ir.Node, shapes: Shapes) -> bool:
    """Carry lanes through a node that is no layer; False when no rule covers it."""
    data = next((v for v in node.inputs if v is not None and constant(v) is None), None)
    if data is None:
        return True
    lane = found.lanes.get(data)
    output = node.outputs[0]
    if lane is None:
        return False
    kind = node.op_type
    if kind == "Clip" and any(v is not None and constant(v) is None for v in node.inputs[1:]):
        return False
    if kind in UNARY or (kind in SPATIAL and lane.axis == 1 and len(node.outputs) == 1):
        if kind == "InstanceNormalization":
            return False
        found.lanes[output] = lane
        return True
    if kind == "BatchNormalization":
        found.lanes[output] = lane
        return lane.axis == 1 and len(node.outputs) == 1 and all(constant(v) is not None for v in node.inputs[1:])
    if kind in BINARY:
        return _binary(found, node, shapes)
    if kind == "Concat":
        return _concat(found, node, shapes)
    if kind in ("Flatten", "Reshape", "Squeeze", "Unsqueeze"):
        return _reshape(found, node, data, lane, shapes)
    if kind == "Transpose":
        reverse = range(len(shapes[str(data.name)]))[::-1]
        order = node.attributes["perm"].as_ints() if "perm" in node.attributes else reverse
        found.lanes[output] = Lane(list(order).index(lane.axis), lane.ids)
        return True
    if kind in ("ReduceMean", "ReduceMax", "ReduceSum"):
        return _reduce(found, node, lane, shapes, data)
    if kind in ("Resize", "Upsample", "Pad"):
        same = shapes[str(data.name)][lane.axis] == shapes[str(output.name)][lane.axis]
        sized = kind == "Resize" and len(node.inputs) > 3 and node.inputs[3] is not None
        if same and not sized:
            found.lanes[output] = lane
            return True
        return False
    if kind in ("Softmax", "LogSoftmax"):
        axis = node.attributes["axis"].as_int() if "axis" in node.attributes else -1
        if axis % len(shapes[str(data.name)]) != lane.axis:
            found.lanes[output] = lane
            return True
    return False


def _binary(found: Channels, node: ir.Node, shapes: Shapes) -> bool:
    output = node.outputs[0]
    shape = shapes[str(output.name)]
    carried: Lane | None = None
    for value in node.inputs:
        if value is None:
            return False
        array = constant(value)
        size = tuple(array.shape) if array is not None else shapes[str(value.name)]
        if array is not None:
            continue
        lane = found.lanes.get(value)
        if lane is None:
            return False
        axis = lane.axis + len(shape) - len(size)
        if size[lane.axis] == 1 and shape[axis] != 1:
            continue
        if carried is None:
            carried = Lane(axis, lane.ids)
        elif carried.axis != axis or carried.ids.size != lane.ids.size:
            return False
        else:
            found.unite(carried.ids, lane.ids)
    if carried is None or shape[carried.axis] != carried.ids.size:
        return False
    found.lanes[output] = carried
    return True


def _concat(found: Channels, node: ir.Node, shapes: Shapes) -> bool:
    rank = len(shapes[str(node.outputs[0].name)])
    axis = node.attributes["axis"].as_int() % rank
    parts: list[Lane] = []
    for value in node.inputs:
        if value is None or value not in found.lanes:
            return False
        parts.append(found.lanes[value])
    if len({lane.axis for lane in parts}) != 1:
        return False
    if parts[0].axis == axis:
        found.lanes[node.outputs[0]] = Lane(axis, np.concatenate([lane.ids for lane in parts]))
        return True
    for lane in parts[1:]:
        found.unite(parts[0].ids, lane.ids)
    found.lanes[node.outputs[0]] = parts[0]
    return True


def _reshape(found: Channels, node: ir.Node, data: ir.Value, lane: Lane, shapes: Shapes) -> bool:
    """Keep the axis where the sizes left of it agree, repeat identities where trailing sizes were merged into it."""
    before, after = shapes[str(data.name)], shapes[str(node.outputs[0].name)]
    if node.op_type == "Reshape" and constant(node.inputs[1]) is None:
        return False
    left, count = int(np.prod(before[: lane.axis])), lane.ids.size
    for axis in range(len(after)):
        if int(np.prod(after[:axis])) == left and after[axis] >= count and after[axis] % count == 0:
            merged = after[axis] // count
            rest = before[lane.axis + 1 :]
            if any(int(np.prod(rest[:k])) == merged for k in range(len(rest) + 1)):
                found.lanes[node.outputs[0]] = Lane(axis, np.repeat(lane.ids, merged))
                return True
    return False


def _reduce(found: Channels, node: ir.Node, lane: Lane, shapes: Shapes, data: ir.Value) -> bool:
    rank = len(shapes[str(data.name)])
    given = constant(node.inputs[1]) if len(node.inputs) > 1 else None
    listed = node.attributes["axes"].as_ints() if "axes" in node.attributes else given
    if listed is None:
        return False
    axes = {int(a) % rank for a in listed}
    if lane.axis in axes:
        return False
    kept = "keepdims" not in node.attributes or node.attributes["keepdims"].as_int() == 1
    axis = lane.axis if kept else lane.axis - sum(a < lane.axis for a in axes)
    found.lanes[node.outputs[0]] = Lane(axis, lane.ids)
    return True
