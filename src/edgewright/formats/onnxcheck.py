"""Whether an ONNX file holds a graph one can work on: cheap checks of our own, one readable line each.

``onnx.checker`` says what the standard forbids, and stops there. Before it come the bounds it does not have (depth,
counts, declared sizes) and the questions whose answers should name the culprit: which operator, which tensor.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterator, Sequence
from typing import Any

import onnx

from edgewright.core.errors import InputError
from edgewright.formats.onnxtensors import MAX_ELEMENTS

DOMAINS = frozenset({"", "ai.onnx", "ai.onnx.ml", "com.microsoft"})
_MAX_DEPTH = 16
_MAX_NODES = 1_000_000
_LAYOUT_DOMAINS = frozenset({"com.microsoft.nchwc", "com.ms.internal.nhwc"})
# Operators ONNX Runtime registers in the standard's domain though the standard has no such operator.
_RUNTIME_ONLY = frozenset({"SimplifiedLayerNormalization"})
# Operators whose output's shape is the value of an input: its position.
_SHAPED = {"ConstantOfShape": 0, "Expand": 1, "Tile": 1, "Resize": 3}

Nodes = Sequence[onnx.NodeProto]


def check_text(message: Any, name: str) -> None:
    """InputError when a name is not text: protobuf hands such strings over as bytes."""
    if isinstance(message, onnx.TensorProto):
        held = [message.name, message.doc_string, *(v for e in message.external_data for v in (e.key, e.value))]
    else:
        held = []
        for field, value in message.ListFields():
            many = value if not isinstance(value, str | bytes) and hasattr(value, "__len__") else [value]
            if field.type == field.TYPE_STRING:
                held.extend(many)
            elif field.type == field.TYPE_MESSAGE:
                for inner in many:
                    check_text(inner, name)
    if any(isinstance(text, bytes) for text in held):
        raise InputError(f"{name} has a name that is not text; the file is damaged, export the model again")


def subgraphs(node: onnx.NodeProto) -> Iterator[onnx.GraphProto]:
    """The graphs a node carries (branches, loop bodies)."""
    for attribute in node.attribute:
        if attribute.HasField("g"):
            yield attribute.g
        yield from attribute.graphs


def every_node(nodes: Nodes, name: str, depth: int = 0) -> Iterator[onnx.NodeProto]:
    """Every node, those of subgraphs included. Raises InputError past the depth that any real model has."""
    if depth > _MAX_DEPTH:
        raise InputError(f"{name}: graphs are nested more than {_MAX_DEPTH} deep; export the model flatter")
    for node in nodes:
        yield node
        for inner in subgraphs(node):
            yield from every_node(inner.node, name, depth + 1)


def check_operators(proto: onnx.ModelProto, name: str) -> None:
    """InputError for an operator nobody here can run, named with its domain, and what to do."""
    opsets = {_domain(entry.domain): entry.version for entry in proto.opset_import}
    newest = onnx.defs.onnx_opset_version()
    if opsets.get("", 1) > newest:
        raise InputError(f"{name} needs opset {opsets['']}; {newest} is the newest here: upgrade onnx or export lower")
    own = {(_domain(f.domain), f.name) for f in proto.functions}
    count = 0
    for nodes in (proto.graph.node, *(f.node for f in proto.functions)):
        for node in every_node(nodes, name):
            count += 1
            if count > _MAX_NODES:
                raise InputError(f"{name} has more than {_MAX_NODES:,} nodes; split it or export it smaller")
            domain = _domain(node.domain)
            if (domain, node.op_type) not in own:
                _check_operator(node, domain, opsets, name)


def _domain(domain: str) -> str:
    return "" if domain == "ai.onnx" else domain


def _check_operator(node: onnx.NodeProto, domain: str, opsets: dict[str, int], name: str) -> None:
    what = f"operator {node.op_type!r} of domain {domain or 'ai.onnx'!r} ({describe(node)})"
    if domain in _LAYOUT_DOMAINS:
        raise InputError(
            f"{name}: {what} is ONNX Runtime's own layout for one machine; use the model from before it was optimized"
        )
    if domain.endswith(".training"):
        raise InputError(f"{name}: {what} trains the model; export it for inference")
    if domain not in DOMAINS:
        raise InputError(
            f"{name}: {what} needs custom code, which Edgewright does not run; export it with standard operators, "
            "or with a function in the model that spells it out"
        )
    if domain not in opsets:
        raise InputError(f"{name}: {what} is used without an opset for its domain; export the model again")
    if domain == "com.microsoft":
        known = not _contributed() or node.op_type in _contributed()
    else:
        known = node.op_type in _RUNTIME_ONLY or onnx.defs.has(node.op_type, opsets[domain], domain)
    if not known:
        version = f" in its opset {opsets[domain]}"
        raise InputError(f"{name}: there is no {what}{version}; export it with an opset that has it")


_CONTRIBUTED: set[str] = set()


def _contributed() -> set[str]:
    """Names of ONNX Runtime's own operators; empty where this build of it does not tell."""
    if not _CONTRIBUTED:
        try:
            from onnxruntime.capi._pybind_state import get_all_operator_schema
        except ImportError:
            return _CONTRIBUTED
        _CONTRIBUTED.update(s.name for s in get_all_operator_schema() if s.domain == "com.microsoft")
    return _CONTRIBUTED


def describe(node: onnx.NodeProto) -> str:
    """What a reader can find a node by."""
    return f"node {node.name!r}" if node.name else f"the node that makes {next(iter(node.output), '')!r}"


def arrange(proto: onnx.ModelProto, name: str) -> bool:
    """Put nodes into an order in which each follows what it reads; whether that changed anything.

    Raises InputError for a cycle, a name made twice, and a name nothing makes.
    """
    moved = False
    for function in proto.functions:
        changed, free = _arrange(function, set(function.input), name)
        _reject_free(free, name)
        moved |= changed
    given = _names(proto.graph, name)
    for side, values in (("input", proto.graph.input), ("output", proto.graph.output)):
        names = [value.name for value in values]
        if len(set(names)) < len(names):
            raise InputError(f"{name}: two {side}s have the same name; give each its own")
    changed, free = _arrange(proto.graph, given, name)
    made = given.union(*(node.output for node in proto.graph.node))
    free |= {value.name: "the model's output" for value in proto.graph.output if value.name not in made}
    _reject_free(free, name)
    return changed or moved


def _reject_free(free: dict[str, str], name: str) -> None:
    for missing, reader in free.items():
        raise InputError(f"{name}: nothing makes {missing!r}, which {reader} needs; export the model with its weights")


def _names(graph: onnx.GraphProto, name: str) -> set[str]:
    """Inputs and initialisers. An initialiser may bear an input's name (its default), and no other's."""
    held = [tensor.name for tensor in graph.initializer] + [both.values.name for both in graph.sparse_initializer]
    if len(set(held)) < len(held):
        twice = next(n for i, n in enumerate(held) if n in held[:i])
        raise InputError(f"{name}: two initialisers are named {twice!r}; give each its own name")
    return set(held) | {value.name for value in graph.input}


def _arrange(graph: Any, given: set[str], name: str) -> tuple[bool, dict[str, str]]:
    """Sort one graph's or function's nodes (Kahn, stable); names it needs from outside, each with a reader."""
    nodes = list(graph.node)
    maker: dict[str, int] = {}
    for i, node in enumerate(nodes):
        for output in filter(None, node.output):
            if output in maker or output in given:
                raise InputError(f"{name}: {output!r} is made twice ({describe(node)}); give each result its own name")
            maker[output] = i
    free: dict[str, str] = {}
    readers: list[set[int]] = [set() for _ in nodes]
    waiting = [0] * len(nodes)
    moved = False
    for i, node in enumerate(nodes):
        needed = dict.fromkeys(filter(None, node.input), describe(node))
        for inner in subgraphs(node):
            changed, outside = _arrange(inner, _names(inner, name), name)
            moved |= changed
            needed = outside | needed
        for read, reader in needed.items():
            if read in maker:
                if i not in readers[maker[read]]:
                    readers[maker[read]].add(i)
                    waiting[i] += 1
            elif read not in given:
                free.setdefault(read, reader)
    ready = [i for i, count in enumerate(waiting) if count == 0]
    order = []
    while ready:
        i = heapq.heappop(ready)
        order.append(i)
        for reader_index in readers[i]:
            waiting[reader_index] -= 1
            if waiting[reader_index] == 0:
                heapq.heappush(ready, reader_index)
    if len(order) < len(nodes):
        stuck = next(i for i, count in enumerate(waiting) if count)
        raise InputError(f"{name}: the graph has a cycle near {describe(nodes[stuck])}; export it without feedback")
    if order != list(range(len(nodes))):
        kept = []
        for i in order:
            copy = onnx.NodeProto()
            copy.CopyFrom(nodes[i])
            kept.append(copy)
        del graph.node[:]
        graph.node.extend(kept)
        moved = True
    return moved, free


def check_sizes(proto: onnx.ModelProto, name: str) -> None:
    """InputError for an input no data can have, and for shapes that would fill the memory by themselves."""
    held = {tensor.name for tensor in proto.graph.initializer}
    for side, values in (("input", proto.graph.input), ("output", proto.graph.output)):
        for value in values:
            if value.name in held:
                continue
            sizes = [d.dim_value for d in value.type.tensor_type.shape.dim if d.WhichOneof("value") == "dim_value"]
            if math.prod(size for size in sizes if size > 0) > MAX_ELEMENTS:
                raise InputError(f"{name}: {side} {value.name!r} declares the sizes {sizes}, which no memory can hold")
            if side == "input" and 0 in sizes:
                raise InputError(
                    f"{name}: input {value.name!r} has a size of 0; export it with its real size, or with a name for "
                    "a size that varies"
                )
    constants = {tensor.name: tensor for tensor in proto.graph.initializer}
    for node in every_node(proto.graph.node, name):
        if node.op_type == "Constant" and node.output:
            constants.update((node.output[0], a.t) for a in node.attribute if a.name == "value")
        position = _SHAPED.get(node.op_type, len(node.input))
        shape = constants.get(node.input[position]) if position < len(node.input) else None
        if shape is not None and shape.data_type == onnx.TensorProto.INT64 and 0 < math.prod(shape.dims) <= 64:
            if shape.data_location == onnx.TensorProto.EXTERNAL:
                continue
            sizes = [int(size) for size in onnx.numpy_helper.to_array(shape).reshape(-1)]
            if math.prod(size for size in sizes if size > 0) > MAX_ELEMENTS:
                raise InputError(
                    f"{name}: {describe(node)} makes a tensor of the sizes {sizes}, which no memory can hold"
                )


def check_standard(proto: onnx.ModelProto, name: str) -> None:
    """``onnx.checker`` on the graph without its weights, which ``check_tensors`` has looked at."""
    bare = onnx.ModelProto(ir_version=proto.ir_version, opset_import=proto.opset_import, functions=proto.functions)
    graph = bare.graph
    graph.name = proto.graph.name or "graph"
    graph.node.extend(proto.graph.node)
    graph.input.extend(proto.graph.input)
    graph.output.extend(proto.graph.output)
    for tensor in (*proto.graph.initializer, *(both.values for both in proto.graph.sparse_initializer)):
        graph.initializer.add(name=tensor.name, data_type=tensor.data_type, dims=[0])
    for node in every_node(graph.node, name):
        if node.op_type in _RUNTIME_ONLY:
            node.domain = "com.microsoft"
        for tensor in (a.t for a in node.attribute if a.HasField("t")):
            _detach(tensor)
        for inner in subgraphs(node):
            for tensor in inner.initializer:
                _detach(tensor)
    if not any(entry.domain == "com.microsoft" for entry in bare.opset_import):
        bare.opset_import.add(domain="com.microsoft", version=1)
    try:
        onnx.checker.check_model(bare)
    except (onnx.checker.ValidationError, ValueError, RuntimeError) as error:
        line = next((part.strip() for part in str(error).splitlines() if part.strip()), type(error).__name__)
        raise InputError(f"{name} is not valid ONNX ({line[:200]}); export the model again") from error


def _detach(tensor: onnx.TensorProto) -> None:
    if tensor.data_location == onnx.TensorProto.EXTERNAL:
        del tensor.external_data[:]
        tensor.ClearField("data_location")
        tensor.ClearField("dims")
        tensor.dims.append(0)
