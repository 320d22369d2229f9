"""How a graph is quantized already, told from its nodes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from edgewright.graphs.shapes import Shaped
from edgewright.graphs.view import Node

Kind = Literal["none", "qdq", "qoperator", "dynamic", "weights"]

_OPERATORS = frozenset({"QLinearConv", "QLinearMatMul", "QGemm", "QLinearAdd", "QAttention"})
_DYNAMIC = frozenset({"DynamicQuantizeLinear", "DynamicQuantizeMatMul", "DynamicQuantizeLSTM", "ConvInteger"})
_WEIGHTS = frozenset({"MatMulNBits", "MatMulBnb4", "GatherBlockQuantized"})


@dataclass(frozen=True)
class Quantized:
    """``kind``: pairs around float operators, integer operators, ranges found at each call, or weights alone.

    ``activations``: u8 or s8 of a QDQ graph's activations ("mixed" for both, "" for none). ``symmetric``: all their
    zero points stand in the middle. ``weight_bits``: the narrowest stored weights, 0 for none.
    """

    kind: Kind
    activations: Literal["", "u8", "s8", "mixed"] = ""
    per_channel_activations: bool = False
    symmetric: bool = False
    weight_bits: int = 0

    def to_json(self) -> dict[str, Any]:
        """A JSON value."""
        return {
            "kind": self.kind,
            "activations": self.activations,
            "per_channel_activations": self.per_channel_activations,
            "symmetric": self.symmetric,
            "weight_bits": self.weight_bits,
        }

    def __str__(self) -> str:
        if self.kind == "none":
            return "no"
        parts = {"qdq": "QDQ pairs", "qoperator": "integer operators", "dynamic": "dynamic", "weights": "weights only"}
        told = [parts[self.kind]]
        if self.activations:
            told.append(f"{self.activations} activations" + (" (symmetric)" if self.symmetric else ""))
        if self.per_channel_activations:
            told.append("per-channel activation scales")
        if self.weight_bits:
            told.append(f"{self.weight_bits}-bit weights")
        return ", ".join(told)


def quantized(shaped: Shaped) -> Quantized:
    """What ``shaped`` shows."""
    nodes = list(shaped.graph.walk())
    kinds = {node.op_type for node in nodes}
    pairs = [n for n in nodes if n.op_type == "QuantizeLinear" and n.inputs[0] not in shaped.constants]
    stored = [n.inputs[0] for n in nodes if n.op_type == "DequantizeLinear" and n.inputs[0] in shaped.constants]
    widths = [_bits(shaped.constants[name].facts.dtype) for name in stored]
    widths += [int(n.attributes.get("bits", 4)) for n in nodes if n.op_type in _WEIGHTS]
    weight_bits = min((w for w in widths if 0 < w < 32), default=0)
    if kinds & _OPERATORS:
        return Quantized("qoperator", weight_bits=8)
    if pairs:
        signs = {_sign(node, shaped) for node in pairs}
        return Quantized(
            "qdq",
            "mixed" if len(signs) > 1 else "u8" if "u" in signs else "s8",
            any(_elements(node, 1, shaped) > 1 for node in pairs),
            all(_centred(node, shaped) for node in pairs),
            weight_bits,
        )
    if kinds & _DYNAMIC:
        return Quantized("dynamic", weight_bits=8)
    if weight_bits:
        return Quantized("weights", weight_bits=weight_bits)
    return Quantized("none")


def _bits(dtype: str) -> int:
    return int("".join(filter(str.isdigit, dtype)) or 0) if "int" in dtype else 0


def _sign(node: Node, shaped: Shaped) -> str:
    made = shaped.facts.get(node.outputs[0])
    return "u" if made is None or made.dtype.startswith("u") else "s"


def _elements(node: Node, slot: int, shaped: Shaped) -> int:
    known = shaped.facts.get(node.inputs[slot]) if slot < len(node.inputs) else None
    return known.elements if known else 1


def _centred(node: Node, shaped: Shaped) -> bool:
    held = shaped.constants.get(node.inputs[2]) if len(node.inputs) > 2 else None
    if held is None or held.value is None:
        return len(node.inputs) <= 2 and _sign(node, shaped) == "s"
    middle = 128 if _sign(node, shaped) == "u" else 0
    return bool((held.value == middle).all())
