"""FP16: weights and computation in float16, inputs and outputs in float32."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import onnx
import onnx_ir as ir

from edgewright.compression.contract import Context, Pass, PassResult, probe
from edgewright.compression.rewriting.editor import Editor, live_graph
from edgewright.compression.rewriting.halving import choose, write
from edgewright.core.errors import EngineError, Refused
from edgewright.core.model import Model
from edgewright.core.session import EngineOptions
from edgewright.engines import open_session
from edgewright.graphs.graph import close_graph
from edgewright.graphs.opsets import opset
from edgewright.graphs.taps import tap


@dataclass(frozen=True)
class Fp16(Pass):
    """Half the bytes; faster where the engine has float16 kernels (GPUs, ARM v8.2, OpenVINO), not on x86 CPUs.

    Softmax, normalisations, reductions and exponentials stay float32, and so does every node that comes near what
    float16 holds (65,504), by its constants or by what the samples (or seeded noise) show of its activations.
    """

    name: ClassVar[str] = "fp16"
    tolerance_db: ClassVar[float] = 40.0

    def rewrite(self, model: Model, context: Context) -> PassResult:
        """The halved model. Raises Refused where no float32 weight may be halved."""
        graph = live_graph(model)
        _infer_types(graph)
        values = [v for node in graph.graph for v in node.outputs if v.dtype == ir.DataType.FLOAT]
        peaks = _peaks(model, [str(v.name) for v in values], context)
        chosen = choose(graph.graph, peaks, opset(model))
        editor = Editor(graph, "ew.h")
        halved = write(editor, chosen)
        if not halved:
            raise Refused("holds no float32 weights that keep their meaning in float16")
        result = close_graph(graph, model, self.name, self.options())
        if result.size_bytes >= model.size_bytes:
            raise Refused("its casts would take more than halving its few float32 weights gives back")
        facts = {"nodes": len(chosen), "kept_float32": len(graph.graph) - len(chosen), "weights": halved}
        return PassResult("applied", result, facts=facts)


def _infer_types(graph: ir.Model) -> None:
    """Fill in the element types that shape inference finds, and nothing else."""
    inferred = onnx.shape_inference.infer_shapes(ir.to_proto(graph))
    found = {v.name: v.type.tensor_type.elem_type for v in inferred.graph.value_info}
    for node in graph.graph:
        for value in node.outputs:
            if value.dtype is None and found.get(str(value.name)):
                value.dtype = ir.DataType(found[str(value.name)])
    for value in graph.graph.initializers.values():
        if value.const_value is not None:
            value.dtype = value.const_value.dtype


def _peaks(model: Model, names: list[str], context: Context) -> dict[str, float]:
    """The largest finite magnitude of each value over a few samples."""
    peaks: dict[str, float] = {}
    try:
        with open_session(tap(model, names), options=EngineOptions(graph_level="none")) as session:
            for batch in probe(model, context):
                context.checkpoint()
                for name, array in session.infer(batch).items():
                    finite = np.abs(array[np.isfinite(array)])
                    peaks[name] = max(peaks.get(name, 0.0), float(finite.max(initial=0.0)))
    except EngineError as error:
        raise Refused(f"onnxruntime cannot run the model: {str(error)[:200]}") from error
    return peaks
