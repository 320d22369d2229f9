"""A read-only look at an ONNX graph for everything that counts: no weights held, scopes resolved, order checked.

Values of a subgraph are known here as ``<node>.<attribute>/<name>``, so that one flat mapping can hold facts about
every value; what a subgraph captures from outside keeps its outer name. Model-local functions are inlined, Constant
nodes become constants.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from edgewright.core.errors import InputError
from edgewright.core.model import Model
from edgewright.formats.onnx import parse, tensors

SMALL_ELEMENTS = 4096
"""Constants up to this size keep their values: shapes, axes, bounds, scales. Larger ones are weights."""

_WIDTHS = {"FLOAT": ("float32", 32), "DOUBLE": ("float64", 64), "BOOL": ("bool", 8), "STRING": ("str", 0)}


@dataclass(frozen=True)
class TensorFacts:
    """What is known of a tensor before it is computed.

    ``dtype`` is numpy's name, or ONNX's in lower case where numpy has none (``int4``, ``bfloat16``). ``bytes`` is what
    the values take packed; 0 for strings, whose length no shape tells.
    """

    shape: tuple[int, ...]
    dtype: str
    bytes: int

    @property
    def elements(self) -> int:
        """Number of values."""
        return math.prod(self.shape)


@dataclass(frozen=True)
class Constant:
    """A stored tensor. ``value`` is None where it is larger than ``SMALL_ELEMENTS``, sparse, or of strings."""

    facts: TensorFacts
    value: NDArray[Any] | None = None


@dataclass(frozen=True, eq=False)
class Node:
    """One operator. An empty input name is an optional input left out; ``captures`` are values its bodies read."""

    name: str
    op_type: str
    domain: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any]
    bodies: Mapping[str, Graph] = field(default_factory=dict)
    captures: tuple[str, ...] = ()
    attribute_bytes: int = 0
    """What the attributes take in the file, subgraphs left out: a tree ensemble's whole content."""

    @property
    def kind(self) -> str:
        """The operator with its domain, the standard one left out: ``Conv``, ``com.microsoft.QGemm``."""
        return f"{self.domain}.{self.op_type}" if self.domain else self.op_type

    @property
    def reads(self) -> tuple[str, ...]:
        """Every value the node needs, once each, captured ones included."""
        return tuple(dict.fromkeys(name for name in (*self.inputs, *self.captures) if name))


@dataclass(frozen=True, eq=False)
class Graph:
    """Nodes in an order in which each one's inputs are ready; ``constants`` by name, this scope's own.

    ``dynamic``: an input has a size that the file leaves open; engines rewrite more where there is none.
    """

    nodes: tuple[Node, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    constants: Mapping[str, Constant]
    dynamic: bool = True

    def walk(self) -> Iterator[Node]:
        """Every node, those of subgraphs behind the node that holds them."""
        for node in self.nodes:
            yield node
            for body in node.bodies.values():
                yield from body.walk()

    def all_constants(self) -> dict[str, Constant]:
        """Constants of this graph and of every subgraph, by scoped name."""
        found = dict(self.constants)
        for node in self.nodes:
            for body in node.bodies.values():
                found |= body.all_constants()
        return found


def facts(shape: Sequence[int], element_type: int) -> TensorFacts:
    """Facts of a tensor of an ONNX element type. Raises InputError for an unknown type or a negative size."""
    try:
        label = onnx.TensorProto.DataType.Name(element_type)
    except ValueError as error:
        raise InputError(f"the model uses the unknown element type {element_type}; export it again") from error
    if any(size < 0 for size in shape):
        raise InputError(f"the model holds a tensor of negative size {list(shape)}; export it again")
    width = re.search(r"\d+", label)
    dtype, bits = _WIDTHS.get(label) or (label.lower(), int(width.group()) if width else 0)
    return TensorFacts(tuple(shape), dtype, -(-math.prod(shape) * bits // 8))


def read_proto(model: Model, *, whole: bool = False) -> onnx.ModelProto:
    """The model's protobuf, functions inlined. External data are brought in when small, or all of them if ``whole``.

    Raises InputError for another format, for external data outside their file, and for functions that cannot be
    inlined.
    """
    if model.format != "onnx":
        raise InputError(f"this needs an ONNX graph, not {model.format}; start from the ONNX model it was made of")
    proto = parse(model.data)
    for tensor in tensors(proto):
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            stored = _external(tensor, model)
            if whole or math.prod(tensor.dims) <= SMALL_ELEMENTS:
                tensor.raw_data = bytes(stored)
                del tensor.external_data[:]
                tensor.data_location = onnx.TensorProto.DEFAULT
    if proto.functions:
        try:
            proto = onnx.inliner.inline_local_functions(proto)
        except (RuntimeError, ValueError) as error:
            raise InputError(f"the model's local functions cannot be inlined: {str(error)[:200]}") from error
    return proto


def read_graph(proto: onnx.ModelProto) -> Graph:
    """The main graph. Raises InputError for a cycle, a value that comes from nowhere, or a damaged tensor."""
    return _Reader().graph(proto.graph, "", {})


def _external(tensor: onnx.TensorProto, model: Model) -> memoryview:
    where = {entry.key: entry.value for entry in tensor.external_data}
    try:
        blob = memoryview(model.files[where["location"]])
        start = int(where.get("offset", 0))
        length = int(where["length"]) if "length" in where else len(blob) - start
    except (KeyError, ValueError) as error:
        raise InputError(f"the external data of {tensor.name!r} are not described properly; export again") from error
    if start < 0 or length < 0 or start + length > len(blob):
        raise InputError(f"the external data of {tensor.name!r} reach beyond their file; export the model again")
    return blob[start : start + length]


class _Reader:
    """Turns protobuf graphs into ours. ``scope`` maps a name as written to the name by which it is known here."""

    def graph(self, proto: onnx.GraphProto, prefix: str, outer: Mapping[str, str]) -> Graph:
        constants: dict[str, Constant] = {}
        scope: dict[str, str] = dict(outer)

        def define(name: str) -> str:
            scope[name] = prefix + name
            return scope[name]

        for tensor in proto.initializer:
            constants[define(tensor.name)] = constant(tensor)
        for sparse in proto.sparse_initializer:
            constants[define(sparse.values.name)] = _sparse(sparse)
        inputs = tuple(define(v.name) for v in proto.input if prefix + v.name not in constants)
        ordered = _ordered(proto, scope)
        nodes: list[Node] = []
        for index, made in ordered:
            if made.op_type == "Constant" and made.domain in ("", "ai.onnx"):
                constants[define(made.output[0])] = _constant_node(made)
                continue
            nodes.append(self._node(made, index, prefix, scope, define))
        outputs = tuple(scope.get(v.name, prefix + v.name) for v in proto.output)
        dynamic = any(not _fixed(v) for v in proto.input if prefix + v.name not in constants)
        return Graph(tuple(nodes), inputs, outputs, constants, dynamic)

    def _node(self, made: onnx.NodeProto, index: int, prefix: str, scope: Mapping[str, str], define: Any) -> Node:
        name = prefix + (made.name or f"{made.op_type}_{index}")
        attributes: dict[str, Any] = {}
        bodies: dict[str, Graph] = {}
        size = 0
        for attribute in made.attribute:
            if attribute.HasField("g"):
                bodies[attribute.name] = self.graph(attribute.g, f"{name}.{attribute.name}/", scope)
            elif attribute.graphs:
                for i, inner in enumerate(attribute.graphs):
                    bodies[f"{attribute.name}{i}"] = self.graph(inner, f"{name}.{attribute.name}{i}/", scope)
            else:
                attributes[attribute.name] = _value(attribute)
                size += attribute.ByteSize()
        captures: dict[str, None] = {}
        for body in bodies.values():
            captures |= dict.fromkeys(_captures(body))
        domain = "" if made.domain == "ai.onnx" else made.domain
        read = tuple(scope[n] if n else "" for n in made.input)
        return Node(name, made.op_type, domain, read, tuple(define(n) if n else "" for n in made.output),
                    attributes, bodies, tuple(captures), size)  # fmt: skip


def _fixed(value: onnx.ValueInfoProto) -> bool:
    tensor = value.type.tensor_type
    return tensor.HasField("shape") and all(d.WhichOneof("value") == "dim_value" for d in tensor.shape.dim)


def _ordered(proto: onnx.GraphProto, scope: Mapping[str, str]) -> list[tuple[int, onnx.NodeProto]]:
    """The nodes as written where that order works, else sorted so that it does. Raises InputError."""
    maker: dict[str, int] = {}
    for index, node in enumerate(proto.node):
        for name in filter(None, node.output):
            if name in maker:
                raise InputError(f"two nodes of the graph write {name!r}; export the model again")
            maker[name] = index
    for name in (v.name for v in proto.output):
        if name not in maker and name not in scope:
            raise InputError(f"nothing in the graph makes its output {name!r}; export the model again")
    before: dict[int, set[int]] = {}
    in_order = True
    for index, node in enumerate(proto.node):
        needs = _needs(node)
        for name in needs:
            if name not in maker and name not in scope:
                raise InputError(
                    f"node {node.name or node.op_type!r} reads {name!r}, which nothing provides "
                    "(an initializer is missing?); export the model again"
                )
        before[index] = {maker[name] for name in needs if name in maker}
        in_order = in_order and all(earlier < index for earlier in before[index])
    if in_order:
        return list(enumerate(proto.node))
    try:
        return [(index, proto.node[index]) for index in TopologicalSorter(before).static_order()]
    except CycleError as error:
        names = ", ".join(proto.node[i].name or proto.node[i].op_type for i in error.args[1][:3])
        raise InputError(f"the graph has a cycle through {names}; export the model again") from error


def _needs(node: onnx.NodeProto) -> set[str]:
    """Names a node reads, those that its subgraphs read and do not define themselves included."""
    found = {name for name in node.input if name}
    for attribute in node.attribute:
        for body in (attribute.g, *attribute.graphs) if attribute.HasField("g") else attribute.graphs:
            own = {v.name for v in body.input} | {t.name for t in body.initializer}
            own |= {name for inner in body.node for name in inner.output}
            read = {name for inner in body.node for name in _needs(inner)} | {v.name for v in body.output}
            found |= read - own
    return found


def _captures(body: Graph) -> Iterator[str]:
    own = {*body.inputs, *body.constants, *(name for node in body.nodes for name in node.outputs)}
    for node in body.nodes:
        yield from (name for name in node.reads if name not in own)
    yield from (name for name in body.outputs if name not in own)


def constant(tensor: onnx.TensorProto) -> Constant:
    """A stored tensor's facts, and its value when small. Raises InputError when it holds too few or too many bytes."""
    known = facts(tensor.dims, tensor.data_type)
    if tensor.HasField("raw_data") and known.dtype != "str" and len(tensor.raw_data) != known.bytes:
        raise InputError(
            f"the constant {tensor.name!r} holds {len(tensor.raw_data):,} bytes where its shape needs "
            f"{known.bytes:,}; export the model again"
        )
    small = known.elements <= SMALL_ELEMENTS and known.dtype != "str"
    if not small or tensor.data_location == onnx.TensorProto.EXTERNAL:
        return Constant(known)
    try:
        return Constant(known, numpy_helper.to_array(tensor))
    except (ValueError, TypeError) as error:
        raise InputError(f"the constant {tensor.name!r} is damaged: {str(error)[:120]}; export again") from error


def _sparse(sparse: onnx.SparseTensorProto) -> Constant:
    stored = facts(sparse.values.dims, sparse.values.data_type)
    indices = facts(sparse.indices.dims, sparse.indices.data_type)
    return Constant(TensorFacts(tuple(sparse.dims), stored.dtype, stored.bytes + indices.bytes))


def _constant_node(node: onnx.NodeProto) -> Constant:
    for attribute in node.attribute:
        if attribute.name == "value":
            return constant(attribute.t)
        if attribute.name == "sparse_value":
            return _sparse(attribute.sparse_tensor)
        kind = {"value_float": np.float32, "value_floats": np.float32, "value_int": np.int64, "value_ints": np.int64}
        if attribute.name in kind:
            array = np.asarray(onnx.helper.get_attribute_value(attribute), kind[attribute.name])
            return Constant(TensorFacts(array.shape, array.dtype.name, array.nbytes), array)
        if attribute.name.startswith("value_string"):
            count = () if attribute.name == "value_string" else (len(attribute.strings),)
            return Constant(TensorFacts(count, "str", 0))
    raise InputError(f"the Constant node {node.name or node.output[0]!r} holds no value; export the model again")


def _value(attribute: onnx.AttributeProto) -> Any:
    """Numbers, strings (as str) and lists of them; a tensor becomes a Constant."""
    if attribute.HasField("t"):
        return constant(attribute.t)
    value = onnx.helper.get_attribute_value(attribute)
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    if isinstance(value, Sequence) and value and isinstance(value[0], bytes):
        return [v.decode(errors="replace") for v in value]
    return value
