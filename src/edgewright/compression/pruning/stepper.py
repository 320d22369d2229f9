"""Stepper: run a graph node by node over all samples, each node once, keeping only what is still to be read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime as ort
from numpy.typing import NDArray

from edgewright.core.errors import Refused
from edgewright.core.session import Arrays, EngineOptions
from edgewright.engines.onnxruntime import session_options
from edgewright.graphs.graph import constant

Chunks = list[NDArray[Any]]
"""One value over all samples: an array for each batch, in order."""


class Stepper:
    """The values of one graph over a list of batches.

    ``values`` maps a value's name to its chunks while something still reads it. The nodes run in the order they are
    given in, which must be a topological one.
    """

    def __init__(self, graph: ir.Graph, batches: list[Arrays], opsets: Mapping[str, int]) -> None:
        self._left = {
            str(v.name): len(v.uses()) + bool(v.is_graph_output()) for n in graph for v in n.outputs if v.name
        } | {str(v.name): len(v.uses()) for v in graph.inputs}
        self._opsets = [onnx.helper.make_opsetid(domain, version) for domain, version in opsets.items()]
        self.values: dict[str, Chunks] = {
            str(v.name): [np.asarray(b[str(v.name)]) for b in batches] for v in graph.inputs if not v.is_initializer()
        }
        self._count = len(batches)

    def step(self, node: ir.Node) -> None:
        """Run ``node`` and let go of what nothing reads any more."""
        if any(a.type in (ir.AttributeType.GRAPH, ir.AttributeType.GRAPHS) for a in node.attributes.values()):
            raise Refused(f"holds control flow ({node.op_type}), which cannot be followed node by node")
        data = [v for v in node.inputs if v is not None]
        moving = list(dict.fromkeys(str(v.name) for v in data if constant(v) is None))
        held = {str(v.name): constant(v) for v in data if constant(v) is not None}
        outputs = [str(v.name) for v in node.outputs if v.name and (v.uses() or v.is_graph_output())]
        if outputs:
            session = self._session(node, moving, held, outputs)
            for name in outputs:
                self.values[name] = []
            for i in range(self._count):
                found = session.run(outputs, {name: self.values[name][i] for name in moving})
                for name, array in zip(outputs, found, strict=True):
                    self.values[name].append(array)
        for value in data:
            self.release(str(value.name))

    def release(self, name: str) -> None:
        """One reader of ``name`` is done with it."""
        if name in self._left:
            self._left[name] -= 1
            if self._left[name] <= 0:
                self.values.pop(name, None)

    def _session(
        self, node: ir.Node, moving: list[str], held: Mapping[str, NDArray[Any]], outputs: list[str]
    ) -> ort.InferenceSession:
        proto = ir.to_proto(node)
        inputs = []
        for name in moving:
            array = self.values[name][0]
            kind = onnx.helper.np_dtype_to_tensor_dtype(array.dtype)
            inputs.append(onnx.helper.make_tensor_value_info(name, kind, [None] * array.ndim))
        answers = []
        for name in outputs:
            answer = onnx.ValueInfoProto(name=name)
            answers.append(answer)
        held = {name: np.asarray(array) for name, array in held.items()}
        constants = [  # ONNX takes names (of classes) as objects alone
            onnx.numpy_helper.from_array(array.astype(object) if array.dtype.kind in "SU" else array, name)
            for name, array in held.items()
        ]
        graph = onnx.helper.make_graph([proto], "step", inputs, answers, constants)
        model = onnx.helper.make_model(graph, opset_imports=self._opsets, ir_version=10)
        try:
            return ort.InferenceSession(
                model.SerializeToString(), session_options(EngineOptions()), providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # pybind's exception classes share no base but Exception
            raise Refused(f"node {node.name or node.op_type} does not run on its own: {str(error)[:160]}") from error
