"""Activations written out by exporters, as one operator: Gelu (both spellings) and HardSwish.

Hendrycks and Gimpel, "Gaussian Error Linear Units", arXiv:1606.08415; Howard et al., "Searching for MobileNetV3", ICCV
2019. SiLU stays x * Sigmoid(x): both engines fuse that themselves, and their Swish operator was slower when measured.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import isclose, pi, sqrt

import onnx_ir as ir

from edgewright.compression.rewriting.editor import Editor, is_standard, number, sole_reader
from edgewright.compression.rewriting.facts import Facts
from edgewright.compression.rewriting.movement import scalar
from edgewright.graphs.graph import constant

GELU_OPSET, HARD_SWISH_OPSET = 20, 14


def fuse_gelu(editor: Editor, facts: Facts) -> int:
    """Gelu out of x * (1 + erf(x / sqrt 2)) / 2 or its tanh approximation, factors in any order."""
    count = 0
    for node in reversed(list(editor.graph)):
        if node.graph is None or not is_standard(node, "Mul", "Div"):
            continue
        factors, scale = _product(node.outputs[0], facts)
        for data, gate in (factors, factors[::-1]) if len(factors) == 2 else ():
            kind = _gate(gate, data, facts) if isclose(scale, 0.5, rel_tol=1e-5) else None
            if kind is not None and facts.runs(data) == facts.runs(node.outputs[0]):
                made = editor.node("Gelu", [data], {"approximate": kind} if kind == "tanh" else {})
                editor.replace(node.outputs[0], made)
                count += 1
                break
    return count


def _product(value: ir.Value, facts: Facts, depth: int = 3) -> tuple[list[ir.Value], float]:
    """``value`` as a product of values and one number; only products that nothing else reads are opened."""
    node = value.producer()
    if depth == 0 or node is None or (depth < 3 and sole_reader(value) is None) or not is_standard(node, "Mul", "Div"):
        return [value], 1.0
    left, right = node.inputs
    if left is None or right is None:
        return [value], 1.0
    if node.op_type == "Div":
        divisor = scalar(right, facts)
        if not divisor:
            return [value], 1.0
        factors, scale = _product(left, facts, depth - 1)
        return factors, scale / divisor
    found: list[ir.Value] = []
    total = 1.0
    for side in (left, right):
        fixed = scalar(side, facts)
        factors, scale = ([], fixed) if fixed is not None else _product(side, facts, depth - 1)
        found += factors
        total *= scale
    return found, total


def _plus(value: ir.Value | None, facts: Facts, wanted: float) -> ir.Value | None:
    """x, where ``value`` is x plus the number ``wanted``."""
    node = value.producer() if value is not None else None
    if node is None or not is_standard(node, "Add"):
        return None
    for data, other in (node.inputs, reversed(node.inputs)):
        fixed = scalar(other, facts)
        if fixed is not None and isclose(fixed, wanted, rel_tol=1e-5):
            found: ir.Value | None = data
            return found
    return None


def _gate(value: ir.Value, data: ir.Value, facts: Facts) -> str | None:
    """Which spelling ``value`` is of 1 + erf(data / sqrt 2)."""
    inner = _plus(value, facts, 1.0)
    node = inner.producer() if inner is not None else None
    if node is None or node.inputs[0] is None:
        return None
    factors, scale = _product(node.inputs[0], facts)
    if len(factors) != 1:
        return None
    if is_standard(node, "Erf"):
        return "none" if factors[0] is data and isclose(scale, 1 / sqrt(2), rel_tol=1e-4) else None
    if is_standard(node, "Tanh") and isclose(scale, sqrt(2 / pi), rel_tol=1e-4):
        return "tanh" if _is_cubic(factors[0], data, facts) else None
    return None


def _is_cubic(value: ir.Value, data: ir.Value, facts: Facts) -> bool:
    """Whether ``value`` is data + 0.044715 data^3."""
    node = value.producer()
    if node is None or not is_standard(node, "Add"):
        return False
    for first, second in (node.inputs, reversed(node.inputs)):
        if first is not data or second is None:
            continue
        factors, scale = _product(second, facts)
        if isclose(scale, 0.044715, rel_tol=1e-4) and list(_powers(factors, facts)) == [data] * 3:
            return True
    return False


def _powers(factors: list[ir.Value], facts: Facts) -> Iterator[ir.Value]:
    """The factors with integer powers written out."""
    for value in factors:
        node = value.producer()
        exponent = scalar(node.inputs[1], facts) if node is not None and is_standard(node, "Pow") else None
        if node is not None and node.inputs[0] is not None and exponent in (2.0, 3.0):
            yield from [node.inputs[0]] * int(exponent)
        else:
            yield value


def fuse_hard_swish(editor: Editor, facts: Facts) -> int:
    """HardSwish out of x * HardSigmoid(x) or x * Clip(x + 3, 0, 6) / 6."""
    count = 0
    for node in reversed(list(editor.graph)):
        if node.graph is None or not is_standard(node, "Mul", "Div"):
            continue
        factors, scale = _product(node.outputs[0], facts)
        for data, gate in (factors, factors[::-1]) if len(factors) == 2 else ():
            if _is_hard_gate(gate, data, scale, facts) and facts.runs(data) == facts.runs(node.outputs[0]):
                editor.replace(node.outputs[0], editor.node("HardSwish", [data]))
                count += 1
                break
    return count


def _is_hard_gate(gate: ir.Value, data: ir.Value, scale: float, facts: Facts) -> bool:
    node = gate.producer()
    if node is None:
        return False
    if is_standard(node, "HardSigmoid"):
        slopes = isclose(number(node, "alpha", 0.2), 1 / 6, rel_tol=1e-5) and number(node, "beta", 0.5) == 0.5
        return node.inputs[0] is data and slopes and scale == 1.0
    if not is_standard(node, "Clip") or len(node.inputs) != 3 or not isclose(scale, 1 / 6, rel_tol=1e-5):
        return False
    low, high = constant(node.inputs[1]), constant(node.inputs[2])
    bounds = low is not None and high is not None and (low.item(), high.item()) == (0.0, 6.0)
    return bounds and _plus(node.inputs[0], facts, 3.0) is data
