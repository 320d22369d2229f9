"""Simplify: fold constants, fuse what is exactly the same, drop what nothing reads."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import onnx
import onnxruntime as ort

from edgewright.compression.contract import Context, Pass, PassResult
from edgewright.core.errors import Refused
from edgewright.core.model import Model
from edgewright.formats.onnx import from_proto, parse, tensors
from edgewright.graphs.graph import close_graph, open_graph

# These would hide the MatMul that the 4-bit and dynamic passes look for, or tie the graph to one machine.
_DISABLED = ["MatMulAddFusion", "ConstantSharing", "TransposeOptimizer"]


@dataclass(frozen=True)
class Simplify(Pass):
    """ONNX Runtime's own basic rewritings, saved, then everything unread stripped.

    The basic level holds only rewritings that any engine can read and that keep the numbers: constant folding,
    Conv+BatchNorm folding, elimination of no-ops. Weights that a fold makes twice are stored once.
    """

    name: ClassVar[str] = "simplify"

    def rewrite(self, model: Model, context: Context) -> PassResult | Model | None:
        """The simplified model, or None when nothing was left to fold."""
        whole = close_graph(open_graph(model), model, self.name)
        before = parse(whole.data)
        if any(tensor.data_type == onnx.TensorProto.FLOAT16 for tensor in tensors(before)):
            # ONNX Runtime would save the casts its CPU needs for lack of float16 kernels.
            return PassResult("unchanged", model, "holds float16 weights, around which casts would be saved")
        with tempfile.TemporaryDirectory(prefix="edgewright-") as folder:
            path = Path(folder) / "simplified.onnx"
            options = ort.SessionOptions()
            options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
            options.optimized_model_filepath = str(path)
            options.log_severity_level = 4
            options.intra_op_num_threads = 1
            try:
                ort.InferenceSession(
                    whole.data, options, providers=["CPUExecutionProvider"], disabled_optimizers=_DISABLED
                )
            except Exception as error:  # pybind's exception classes share no base but Exception
                raise Refused(f"onnxruntime cannot open the graph: {str(error).splitlines()[0][:200]}") from error
            after = parse(path.read_bytes())
        _keep_signature(before.graph, after.graph)
        folded = from_proto(after, model.lineage)
        simplified = close_graph(open_graph(folded), model, self.name)
        return None if simplified.digest == model.digest else simplified


def _keep_signature(before: onnx.GraphProto, after: onnx.GraphProto) -> None:
    """Inputs and outputs as they were: ONNX Runtime saves what it inferred of sizes that the model leaves open."""
    told = {value.name: value for value in (*before.input, *before.output)}
    for value in (*after.input, *after.output):
        if value.name in told:
            value.CopyFrom(told[value.name])
