"""The facts that decision rows ask about: of the model, of the target, of the two together."""

from __future__ import annotations

from collections.abc import Mapping

from edgewright.advice.inspection import Inspection
from edgewright.advice.rules import Fact
from edgewright.core.errors import InputError
from edgewright.core.workload import OperatorCost
from edgewright.graphs.view import Node
from edgewright.targets import Target

_CONVOLUTIONS = ("Conv", "ConvTranspose", "QLinearConv", "ConvInteger")
_CELLS = ("LSTM", "GRU", "RNN", "DynamicQuantizeLSTM")


def platform(target: Target) -> str:
    """The column of the selection matrices a target belongs to.

    microcontroller: no operating system. apple, nvidia: their own engine is there. mobile: an accelerator that LiteRT
    reaches. intel: x86-64 with OpenVINO, which other makers' CPUs run too. Else cross-platform.
    """
    if target.microcontroller:
        return "microcontroller"
    if "coreml" in target.engines:
        return "apple"
    if "tensorrt" in target.engines:
        return "nvidia"
    if any("litert" in a.engines for a in target.accelerators):
        return "mobile"
    if target.architecture == "x86_64" and "openvino" in target.engines:
        return "intel"
    return "cross-platform"


def facts_of(found: Inspection, target: Target, fits: bool) -> dict[str, Fact]:
    """Every fact that a row may ask about, except what earlier decisions add (``engine``, ``number_type`` and the
    shares of the engine's coverage). Raises InputError where there is no graph to tell them.
    """
    if found.workload is None or found.kinship is None or found.quantized is None or found.shaped is None:
        raise InputError(
            f"a {found.model.format} model tells no facts to decide by; give the ONNX model it was made of"
        )
    nodes = {node.name: node for node in found.shaped.graph.walk()}
    total = max(found.workload.macs, 1)

    def share(operators: list[OperatorCost]) -> float:
        return sum(o.macs for o in operators) / total

    def stored(operator: OperatorCost) -> bool:
        return operator.weight_bytes > 0 and operator.op_type not in (*_CONVOLUTIONS, *_CELLS)

    ops = list(found.workload.operators)
    openvino = next((c for c in found.coverage if (c.engine, c.number_type) == ("openvino", "fp32")), None)
    return {
        "platform": platform(target),
        "architecture": target.architecture,
        "device_class": target.device_class,
        "microcontroller": target.microcontroller,
        "isa": target.isa,
        "engines": frozenset(target.engines),
        "accelerators": frozenset(a.kind for a in target.accelerators),
        "openvino": "openvino" in target.engines,
        "fits": fits,
        "family": found.kinship.family,
        "domain": found.kinship.domain,
        "parameters": found.workload.parameters,
        "macs": found.workload.macs,
        "reuse": found.workload.macs / max(found.workload.parameters, 1),
        "weight_bytes": found.workload.weight_bytes,
        "conv_share": share([o for o in ops if o.op_type in _CONVOLUTIONS]),
        "depthwise_share": share([o for o in ops if o.op_type in _CONVOLUTIONS and _grouped(nodes, o)]),
        "recurrent_share": share([o for o in ops if o.op_type in _CELLS]),
        "product_share": share([o for o in ops if o.macs and stored(o)]),
        "quantized": found.quantized.kind,
        "activations": found.quantized.activations,
        "per_channel_activations": found.quantized.per_channel_activations,
        "uses_ml_operators": any(node.domain == "ai.onnx.ml" for node in nodes.values()),
        "openvino_share": openvino.operators_share if openvino else 0.0,
    }


def _grouped(nodes: Mapping[str, Node], operator: OperatorCost) -> bool:
    node = nodes.get(operator.name)
    return node is not None and int(node.attributes.get("group", 1)) > 1


def shares(found: Inspection, engine: str) -> dict[str, Fact]:
    """``<number type>_share`` of the multiply-accumulates that the engine covers; ONNX Runtime's for engines that read
    the graph elsewhere (microcontrollers).
    """
    chosen = engine if any(c.engine == engine for c in found.coverage) else "onnxruntime"
    named = {"int4_weights": "int4"}
    return {
        f"{named.get(c.number_type, c.number_type)}_share": c.macs_share for c in found.coverage if c.engine == chosen
    }
