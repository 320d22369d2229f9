"""Concrete shapes: the size and type of every value at a batch size.

Inputs are pinned first, then ONNX's own shape inference with data propagation is asked; what it cannot know (contrib
operators, shapes that the graph computes) is learnt by running the graph once in ONNX Runtime with a Shape node behind
each such value, which is exact.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from edgewright.core.errors import InputError
from edgewright.core.interruption import interrupting
from edgewright.core.model import Model
from edgewright.graphs.view import SMALL_ELEMENTS, Graph, TensorFacts, facts, read_graph, read_proto

RUN_LIMIT_BYTES = 4 * 2**30
"""A graph that holds a single value larger than this is not run to learn the others."""

RUN_LIMIT_S = 20.0

_BATCH_NAMES = frozenset({"n", "b", "bs"})


@dataclass(frozen=True)
class Shaped:
    """A graph with the facts of its values. ``unknown`` names tensors of the main graph that could not be learnt."""

    graph: Graph
    facts: Mapping[str, TensorFacts]
    batch: int
    unknown: tuple[str, ...] = ()
    why: str = ""
    constants: Mapping[str, Any] = field(default_factory=dict)
    """Every constant of the graph and its subgraphs, by scoped name."""


def concrete_shapes(model: Model, batch: int = 1, dims: Mapping[str, int] | None = None) -> Mapping[str, TensorFacts]:
    """Shape, dtype and bytes of every tensor of ``model``: inputs, constants and what each node writes.

    A dynamic size becomes ``dims[name]`` if given, ``batch`` if it is the batch's (its name says so, or it is the first
    size of an input in which no other one's name does), else 1. Fixed sizes stay. Values of subgraphs are named
    ``<node>.<attribute>/<name>``. A value that is no tensor, or that neither inference nor a run can tell, is left out.

    Raises InputError for another format than ONNX, a damaged graph, or a name in ``dims`` that the model does not have.
    """
    return shape(model, batch, dims).facts


def shape(model: Model, batch: int = 1, dims: Mapping[str, int] | None = None) -> Shaped:
    """``concrete_shapes`` together with the graph they belong to, and what stayed unknown and why."""
    proto = read_proto(model)
    graph = read_graph(proto)
    pin_inputs(proto, batch, dims)
    constants = graph.all_constants()
    known = {name: c.facts for name, c in constants.items()} | _inferred(proto)
    unknown = tuple(name for node in graph.nodes for name in node.outputs if name and name not in known)
    why = ""
    if unknown:
        learnt, why = _run(model, batch, dims, unknown, known)
        known |= learnt
        if learnt and any(node.bodies for node in graph.nodes):
            # What a run tells of the main graph may let inference into the subgraphs.
            known = {**_inferred(proto, known), **known}
        unknown = tuple(name for name in unknown if name not in known) if why else ()
    return Shaped(graph, MappingProxyType(known), batch, unknown, why, MappingProxyType(constants))


def pin_inputs(proto: onnx.ModelProto, batch: int, dims: Mapping[str, int] | None = None) -> None:
    """Give every dynamic size of the graph's inputs a number, in place; stale shapes behind them are dropped."""
    wanted = dict(dims or {})
    for name, size in (("batch", batch), *wanted.items()):
        if isinstance(size, bool) or not isinstance(size, int) or size < 1:
            raise InputError(f"the size of {name!r} must be a whole number of at least 1, got {size!r}")
    held = {tensor.name for tensor in proto.graph.initializer}
    named: set[str] = set()
    for value in proto.graph.input:
        sizes = value.type.tensor_type.shape.dim
        if value.name in held or value.type.WhichOneof("value") != "tensor_type":
            continue
        said = any(_is_batch(d.dim_param) for d in sizes)
        for axis, size in enumerate(sizes):
            if size.WhichOneof("value") == "dim_value" and size.dim_value >= 0:
                continue
            name = size.dim_param if size.WhichOneof("value") == "dim_param" else ""
            named.add(name)
            if name in wanted:
                size.dim_value = wanted[name]
            else:
                size.dim_value = batch if _is_batch(name) or (axis == 0 and not said) else 1
    missing = sorted(wanted.keys() - named)
    if missing:
        there = ", ".join(sorted(n for n in named if n)) or "none"
        raise InputError(f"the model has no dynamic size named {missing[0]!r}; it has: {there}")
    del proto.graph.value_info[:]
    for value in proto.graph.output:
        value.type.tensor_type.ClearField("shape")


def _is_batch(name: str) -> bool:
    lowered = name.lower()
    return "batch" in lowered or lowered in _BATCH_NAMES


def _inferred(proto: onnx.ModelProto, learnt: Mapping[str, TensorFacts] | None = None) -> dict[str, TensorFacts]:
    """What shape inference tells. Weights are shown to it as inputs: it needs their shapes, not their bytes."""
    light = onnx.ModelProto()
    light.ir_version = max(proto.ir_version, 4)
    light.opset_import.extend(proto.opset_import)
    graph = light.graph
    graph.name = proto.graph.name or "graph"
    graph.node.extend(proto.graph.node)
    graph.output.extend(proto.graph.output)
    graph.input.extend(proto.graph.input)
    inputs = {value.name for value in graph.input}
    for tensor in proto.graph.initializer:
        external = tensor.data_location == onnx.TensorProto.EXTERNAL
        if not external and math.prod(tensor.dims) <= SMALL_ELEMENTS:
            graph.initializer.append(tensor)
        elif tensor.name not in inputs:
            graph.input.append(onnx.helper.make_tensor_value_info(tensor.name, tensor.data_type, list(tensor.dims)))
    for name, found in (learnt or {}).items():
        if name not in inputs:
            kind = _element_type(found.dtype)
            graph.value_info.append(onnx.helper.make_tensor_value_info(name, kind, list(found.shape)))
    try:
        inferred = onnx.shape_inference.infer_shapes(light, data_prop=True).graph
    except (onnx.shape_inference.InferenceError, RuntimeError, ValueError):
        inferred = graph  # a run tells instead
    return dict(_collected(inferred, ""))


def _element_type(dtype: str) -> int:
    label = {"float32": "FLOAT", "float64": "DOUBLE", "str": "STRING"}.get(dtype, dtype.upper())
    return int(onnx.TensorProto.DataType.Value(label))


def _collected(graph: onnx.GraphProto, prefix: str) -> Iterator[tuple[str, TensorFacts]]:
    held = {tensor.name for tensor in graph.initializer}
    for value in (*graph.input, *graph.value_info, *graph.output):
        if value.name not in held and (found := _facts_of(value)) is not None:
            yield prefix + value.name, found
    for index, node in enumerate(graph.node):
        for attribute in node.attribute:
            name = f"{prefix}{node.name or f'{node.op_type}_{index}'}.{attribute.name}"
            if attribute.HasField("g"):
                yield from _collected(attribute.g, f"{name}/")
            for i, inner in enumerate(attribute.graphs):
                yield from _collected(inner, f"{name}{i}/")


def _facts_of(value: onnx.ValueInfoProto) -> TensorFacts | None:
    tensor = value.type.tensor_type
    if value.type.WhichOneof("value") != "tensor_type" or not tensor.HasField("shape") or not tensor.elem_type:
        return None
    if any(d.WhichOneof("value") != "dim_value" or d.dim_value < 0 for d in tensor.shape.dim):
        return None
    return facts([d.dim_value for d in tensor.shape.dim], tensor.elem_type)


def _run(
    model: Model, batch: int, dims: Mapping[str, int] | None, unknown: Iterable[str], known: Mapping[str, TensorFacts]
) -> tuple[dict[str, TensorFacts], str]:
    """Facts learnt by running the graph once on made-up inputs, and why some could not be learnt ("" if all were)."""
    large = max((f.bytes for f in known.values()), default=0)
    if large > RUN_LIMIT_BYTES:
        return {}, f"one value takes {large:,} bytes, too large to run the graph here"
    import onnxruntime as ort

    proto = read_proto(model, whole=True)
    pin_inputs(proto, batch, dims)
    names = list(unknown)
    try:
        kinds = {v.name: v.type for v in _open(ort, proto, names).get_outputs()}
        tensors = {n: _RUNTIME_TYPES[kinds[n]] for n in names if kinds.get(n) in _RUNTIME_TYPES}
        if not any(entry.domain in ("", "ai.onnx") for entry in proto.opset_import):
            proto.opset_import.add(domain="", version=17)
        asked = [f"{name}/edgewright_shape" for name in tensors]
        for name, answer in zip(tensors, asked, strict=True):
            proto.graph.node.add(op_type="Shape", input=[name], output=[answer])
        session = _open(ort, proto, asked)
        inputs = {v.name: _fill(v.type, v.shape) for v in session.get_inputs()}
        answers = _bounded(ort, session, asked, inputs) if asked else []
    except _errors() as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        return {}, f"onnxruntime cannot run the graph to tell: {(lines or [type(error).__name__])[0][:200]}"
    learnt = {
        name: facts([int(n) for n in sizes], _element_type(tensors[name]))
        for name, sizes in zip(tensors, answers, strict=True)
    }
    return learnt, ""


def _errors() -> tuple[type[Exception], ...]:
    """What opening and running may raise: ONNX Runtime's own classes share no base but Exception."""
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    own = (v for v in vars(state).values() if isinstance(v, type) and issubclass(v, Exception))
    return (RuntimeError, ValueError, TypeError, KeyError, MemoryError, *own)


def _bounded(ort: Any, session: Any, asked: list[str], inputs: dict[str, NDArray[Any]]) -> Any:
    """Run, and have the run ended between two nodes when a graph goes on for longer than any honest one."""
    options = ort.RunOptions()
    with interrupting(lambda: setattr(options, "terminate", True), RUN_LIMIT_S):
        return session.run(asked, inputs, options)


def _open(ort: Any, proto: onnx.ModelProto, outputs: list[str]) -> Any:
    """A session whose outputs are ``outputs``, nothing rewritten, so that every name is still there."""
    changed = onnx.ModelProto()
    changed.CopyFrom(proto)
    del changed.graph.output[:]
    for name in outputs:
        changed.graph.output.add(name=name)
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    return ort.InferenceSession(changed.SerializeToString(), options, providers=["CPUExecutionProvider"])


_RUNTIME_TYPES = {
    "tensor(float)": "float32", "tensor(double)": "float64", "tensor(string)": "str",
    **{f"tensor({t})": t for t in ("float16", "bfloat16", "bool", "int4", "uint4", "int8", "uint8", "int16", "uint16",
                                   "int32", "uint32", "int64", "uint64")},
}  # fmt: skip


def _fill(kind: str, sizes: Iterable[Any]) -> NDArray[Any]:
    """An input no graph should trip over: ones for integers (an index, a mask, a size), seeded noise for floats."""
    dtype = _RUNTIME_TYPES[kind]
    whole = [n if isinstance(n, int) else 1 for n in sizes]
    if dtype == "str":
        return np.full(whole, "a", dtype=object)
    if dtype.startswith("float"):
        return np.random.default_rng(0).standard_normal(whole).astype(dtype)
    return np.ones(whole, dtype=dtype)
