"""Operator-set versions: raising a model to the one a rewriting needs."""

from __future__ import annotations

import onnx
import onnx_ir as ir
from onnx import version_converter

from edgewright.core.errors import Refused
from edgewright.core.model import Model
from edgewright.formats.onnx import from_proto, parse
from edgewright.graphs.graph import open_graph


def opset(model: Model) -> int:
    """The version of the standard domain the model imports; 0 if none. Raises Refused for another format."""
    if model.format != "onnx":
        raise Refused(f"works on ONNX graphs, not on {model.format}")
    for entry in parse(model.data).opset_import:
        if entry.domain in ("", "ai.onnx"):
            return int(entry.version)
    return 0


def at_least(model: Model, version: int) -> Model:
    """``model`` with the standard operator set raised to ``version`` where it is lower. Raises Refused."""
    if opset(model) >= version:
        return model
    proto = ir.to_proto(open_graph(model))
    try:
        raised = version_converter.convert_version(proto, version)
        onnx.checker.check_model(raised)
    except (RuntimeError, onnx.checker.ValidationError) as error:
        reason = str(error).strip().splitlines()[0][:160] if str(error).strip() else type(error).__name__
        raise Refused(f"needs operator set {version}, and the converter cannot raise this graph: {reason}") from error
    return from_proto(raised, model.lineage)
