"""A hand that changes a graph: new nodes, constants stored once, values replaced and what became dead removed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray
from onnx_ir.passes import common

from edgewright.core.model import Model
from edgewright.graphs.graph import open_graph


def live_graph(model: Model) -> ir.Model:
    """A mutable graph of ``model`` without its dead nodes, which a pass would otherwise count as its own work."""
    graph = open_graph(model)
    common.TopologicalSortPass()(graph)
    common.RemoveUnusedNodesPass()(graph)
    return graph


class Editor:
    """Edits the main graph of ``model``. New names start with ``prefix``, and no two edits share one."""

    def __init__(self, model: ir.Model, prefix: str) -> None:
        self.model, self.graph = model, model.graph
        self._prefix, self._count = prefix, 0
        self._names = {str(one.name) for g in model.graphs() for one in _named(g)}
        self._stored: dict[tuple[Any, ...], ir.Value] = {}

    def fresh(self) -> str:
        """A name no value or node has."""
        while True:
            self._count += 1
            name = f"{self._prefix}{self._count}"
            if name not in self._names:
                self._names.add(name)
                return name

    def node(
        self, op_type: str, inputs: list[ir.Value | None], attributes: Mapping[str, Any] | None = None, domain: str = ""
    ) -> ir.Value:
        """A node with one output."""
        return self.nodes(op_type, inputs, attributes, domain, 1)[0]

    def nodes(
        self, op_type: str, inputs: list[ir.Value | None], attributes: Mapping[str, Any] | None, domain: str, count: int
    ) -> list[ir.Value]:
        """A node with ``count`` outputs."""
        made = [self._attribute(name, value) for name, value in (attributes or {}).items() if value is not None]
        node = ir.Node(domain, op_type, inputs, made, num_outputs=count, name=self.fresh())
        self.graph.append(node)
        for output in node.outputs:
            output.name = self.fresh()
        if domain and domain not in self.graph.opset_imports:
            self.graph.opset_imports[domain] = 1
        return list(node.outputs)

    def store(self, array: Any, dtype: Any = None) -> ir.Value:
        """An initialiser; equal arrays are stored once."""
        array = np.asarray(array, dtype)
        key = (array.dtype.str, array.shape, array.tobytes())
        if key not in self._stored:
            name = self.fresh()
            tensor = ir.tensor(np.ascontiguousarray(array).reshape(array.shape), name=name)
            value = ir.Value(
                name=name, const_value=tensor, shape=ir.Shape(array.shape), type=ir.TensorType(tensor.dtype)
            )
            self.graph.register_initializer(value)
            self._stored[key] = value
        return self._stored[key]

    def replace(self, old: ir.Value, new: ir.Value) -> None:
        """Whatever read ``old`` reads ``new``, graph outputs included; what only ``old`` needed goes."""
        if old.is_graph_output():
            if new.producer() is None or new.is_graph_output() or new.graph is not self.graph:
                new = self.node("Identity", [new])
            name, old.name = str(old.name), self.fresh()
            new.name, new.type, new.shape = name, old.type, old.shape
            for index, output in enumerate(self.graph.outputs):
                if output is old:
                    self.graph.outputs[index] = new
        for node, index in list(old.uses()):
            node.replace_input_with(index, new)
        producer = old.producer()
        if producer is not None:
            self.drop(producer)

    def drop(self, node: ir.Node) -> None:
        """Remove ``node`` if nothing reads it, then what only it read."""
        waiting = [node]
        while waiting:
            one = waiting.pop()
            if one.graph is not self.graph or any(o.uses() or o.is_graph_output() for o in one.outputs):
                continue
            sources = [v.producer() for v in one.inputs if v is not None]
            self.graph.remove(one, safe=True)
            waiting += [s for s in sources if s is not None]

    def _attribute(self, name: str, value: Any) -> ir.Attr:
        if isinstance(value, list | tuple):
            return ir.AttrInt64s(name, [int(v) for v in value])
        if isinstance(value, str):
            return ir.AttrString(name, value)
        return ir.AttrFloat32(name, value) if isinstance(value, float) else ir.AttrInt64(name, int(value))


def _named(graph: ir.Graph) -> Iterable[ir.Value | ir.Node]:
    yield from graph.inputs
    yield from graph.initializers.values()
    for node in graph:
        yield node
        yield from node.outputs


def integer(node: ir.Node, name: str, default: int) -> int:
    """An integer attribute."""
    found = node.attributes.get(name)
    return default if found is None else int(found.as_int())


def number(node: ir.Node, name: str, default: float) -> float:
    """A float attribute."""
    found = node.attributes.get(name)
    return default if found is None else float(found.as_float())


def is_standard(node: ir.Node | None, *op_types: str) -> bool:
    """Whether ``node`` is one of these operators of the standard domain."""
    return node is not None and node.domain in ("", "ai.onnx") and node.op_type in op_types


def sole_reader(value: ir.Value) -> ir.Node | None:
    """The one node that reads ``value``, once, when nobody else does and it is no output."""
    uses = value.uses()
    return next(iter(uses))[0] if len(uses) == 1 and not value.is_graph_output() else None


def axis_index(axis: int, rank: int) -> int:
    """A non-negative axis."""
    return axis + rank if axis < 0 else axis


Array = NDArray[Any]
