"""Open a Model as a mutable graph, and close a graph into a new Model with nothing dead in it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import onnx
import onnx_ir as ir
from onnx_ir.passes import common

from edgewright.core.errors import Refused
from edgewright.core.model import Model, Step
from edgewright.formats.onnx import from_proto, parse, tensors

_STANDARD = frozenset({"", "ai.onnx", "ai.onnx.ml", "com.microsoft"})


def open_graph(model: Model) -> ir.Model:
    """A fresh mutable graph of ``model``, its weights in memory. Raises Refused for another format."""
    if model.format != "onnx":
        raise Refused(f"works on ONNX graphs, not on {model.format}")
    proto = parse(model.data)
    if len(model.files) > 1:
        for tensor in tensors(proto):
            _inline(tensor, model.files)
    graph: ir.Model = ir.from_proto(proto)
    return graph


def close_graph(graph: ir.Model, parent: Model, name: str, options: Mapping[str, Any] | None = None) -> Model:
    """A Model of ``graph`` without dead weight, ``parent``'s lineage extended by the step ``name``."""
    tidy(graph)
    proto = ir.to_proto(graph)
    held = {tensor.name for tensor in proto.graph.initializer}
    told = [value for value in proto.graph.value_info if value.name not in held]
    del proto.graph.value_info[:]  # an initialiser tells its own type and shape
    proto.graph.value_info.extend(told)
    return from_proto(proto, (*parent.lineage, Step(name, dict(options or {}), parent.digest)))


def tidy(graph: ir.Model) -> None:
    """Drop what no output needs: nodes, initialisers, functions, opsets, doc strings, metadata, stale shapes."""
    for node in graph.graph:
        for value in node.outputs:
            if not value.is_graph_output():
                value.shape, value.type = None, None
    common.TopologicalSortPass()(graph)  # dead nodes are found from the end
    common.RemoveInitializersFromInputsPass()(graph)
    common.IdentityEliminationPass()(graph)
    common.RemoveUnusedNodesPass()(graph)
    common.DeduplicateInitializersPass(size_limit=2**31)(graph)
    common.RemoveUnusedFunctionsPass()(graph)
    common.RemoveUnusedOpsetsPass()(graph)
    common.ClearMetadataAndDocStringPass()(graph)
    graph.ir_version = max(graph.ir_version, 4)  # before 4, initialisers had to be listed as inputs
    graph.producer_name, graph.producer_version = "edgewright", None


def constant(value: ir.Value | None) -> Any:
    """The numpy array a value always holds (initialiser or Constant node), or None."""
    if value is None:
        return None
    if value.const_value is not None:
        return value.const_value.numpy()
    node = value.producer()
    if node is not None and node.op_type == "Constant" and "value" in node.attributes:
        return node.attributes["value"].as_tensor().numpy()
    return None


def _inline(tensor: onnx.TensorProto, files: Mapping[str, bytes]) -> None:
    if tensor.data_location != onnx.TensorProto.EXTERNAL:
        return
    where = {entry.key: entry.value for entry in tensor.external_data}
    blob = files[where["location"]]
    start = int(where.get("offset", 0))
    stop = start + int(where["length"]) if "length" in where else len(blob)
    tensor.raw_data = blob[start:stop]
    tensor.ClearField("external_data")
    tensor.data_location = onnx.TensorProto.DEFAULT
