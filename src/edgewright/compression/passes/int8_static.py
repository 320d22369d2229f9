"""INT8 static: weights and activations as integers, with scales calibrated on samples."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import onnx_ir as ir

from edgewright.compression.contract import Context, Pass, PassResult
from edgewright.compression.quantization.calibration import Method, Observed, choose_range, observe
from edgewright.compression.quantization.emit import Writer
from edgewright.compression.quantization.placement import Placement, place
from edgewright.compression.quantization.products import settle_products
from edgewright.compression.quantization.scheme import Activations, affine
from edgewright.core.errors import Refused
from edgewright.core.model import Model
from edgewright.graphs.graph import close_graph, open_graph
from edgewright.graphs.opsets import at_least


@dataclass(frozen=True)
class Int8Static(Pass):
    """QuantizeLinear/DequantizeLinear pairs placed where engines fuse them into integer kernels.

    ``activations``: u8 (x86), s8 (ARM), s8_symmetric (TensorRT). ``weight_bits`` 7 keeps sums of two products inside
    int16 on x86 without VNNI (vpmaddubsw saturates, Intel SDM). ``skip`` names nodes that stay float.
    """

    name: ClassVar[str] = "int8_static"
    tolerance_db: ClassVar[float] = 6.0
    needs_data: ClassVar[bool] = True

    activations: Activations = "u8"
    per_channel: bool = True
    calibration: Method = "minmax"
    weight_bits: Literal[7, 8] = 8
    bias_correction: bool = True
    skip: tuple[str, ...] = ()

    def rewrite(self, model: Model, context: Context) -> PassResult | None:
        """The quantized model; refused without samples, on integer models, and where no kernel qualifies."""
        prepared = settle_products(at_least(model, 13), self.name)
        graph = open_graph(prepared)
        refuse_quantized(graph.graph)
        placement = place(graph.graph, frozenset(self.skip))
        if not placement.kernels:
            raise Refused("holds no convolution or matrix product with constant float32 weights")
        self.write(graph.graph, placement, observe(prepared, self.wanted(placement), context))
        facts = {"kernels": len(placement.kernels), "activations": len(placement.quantized)}
        return PassResult("applied", close_graph(graph, model, self.name, self.options()), facts=facts)

    def wanted(self, placement: Placement) -> dict[str, int | None]:
        """Tensors to observe, with the axis to keep means along."""
        found: dict[str, int | None] = {}
        for value in placement.quantized:
            if value not in placement.shares:
                found[str(value.name)] = None
        for kernel in placement.kernels:
            source = str(placement.shares.get(kernel.data, kernel.data).name)
            if self.bias_correction and kernel.node.op_type != "MatMul":
                found[str(kernel.data.name)] = 1
            found.setdefault(source)
        return found

    def write(self, graph: ir.Graph, placement: Placement, found: Mapping[str, Observed]) -> None:
        """Put the pairs of ``placement`` into ``graph``, scaled by what was observed. Raises Refused."""
        scales = {}
        for value in placement.quantized:
            seen = found[str(placement.shares.get(value, value).name)]
            scales[value] = affine(*choose_range(seen, self.calibration, self.activations), self.activations)
        writer = Writer(graph, scales)
        # Kernels first: the pairs then redirect what they read.
        for kernel in placement.kernels:
            read = found.get(str(kernel.data.name)) if self.bias_correction else None
            means = None if read is None else read.mean
            writer.kernel(kernel, per_channel=self.per_channel, bits=self.weight_bits, means=means)
        writer.constants(placement, self.activations)
        writer.pairs(placement)
        if not np.isfinite([float(s.scale) for s in scales.values()]).all():
            raise Refused("a calibrated scale is not finite")


def refuse_quantized(graph: ir.Graph) -> None:
    """Raise Refused for a graph that holds quantized operators."""
    if any(n.op_type in ("QuantizeLinear", "DequantizeLinear", "QLinearConv") for n in graph):
        raise Refused("the model is quantized already; qdq_repair mends how, the float model quantizes anew")
