"""Scales and shifts of channels folded into the weights before them: BatchNormalization, Mul, Add, Sub, Div."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from edgewright.compression.rewriting.editor import Editor, integer, is_standard, number, sole_reader
from edgewright.compression.rewriting.facts import Facts
from edgewright.graphs.graph import constant

_Affine = tuple[NDArray[np.float64], NDArray[np.float64]]


def fold_affine(editor: Editor, facts: Facts) -> int:
    """Fold what follows a Conv, ConvTranspose or Gemm channel by channel; returns how many nodes went."""
    count = 0
    for node in list(editor.graph):
        while node.graph is not None and is_standard(node, "Conv", "ConvTranspose", "Gemm"):
            reader = sole_reader(node.outputs[0])
            weight = _weight(node)
            found = None
            if reader is not None and weight is not None:
                found = _affine(reader, node, _channels(node, weight), facts)
            if reader is None or weight is None or found is None or not _apply(editor, node, weight, *found):
                break
            editor.replace(reader.outputs[0], node.outputs[0])
            count += 1
    return count


def _weight(node: ir.Node) -> NDArray[np.float32] | None:
    weight, bias = constant(node.inputs[1]), node.inputs[2] if len(node.inputs) > 2 else None
    if weight is None or weight.dtype != np.float32 or (bias is not None and constant(bias) is None):
        return None
    result: NDArray[np.float32] = weight
    return result


def _channels(node: ir.Node, weight: NDArray[Any]) -> int:
    if node.op_type == "ConvTranspose":
        return int(weight.shape[1] * integer(node, "group", 1))
    if node.op_type == "Gemm":
        return int(weight.shape[0 if integer(node, "transB", 0) else 1])
    return int(weight.shape[0])


def _affine(reader: ir.Node, node: ir.Node, channels: int, facts: Facts) -> _Affine | None:
    """(scale, shift) per channel of what ``reader`` does to the output of ``node``."""
    ones, zeros = np.ones(channels), np.zeros(channels)
    if is_standard(reader, "BatchNormalization"):
        held = [constant(v) for v in reader.inputs[1:5]]
        if integer(reader, "training_mode", 0) or any(h is None for h in held) or len(reader.outputs) > 1:
            return None
        gamma, beta, mean, variance = (np.asarray(h, np.float64) for h in held)
        scale = gamma / np.sqrt(variance + number(reader, "epsilon", 1e-5))
        return scale, beta - mean * scale
    if not is_standard(reader, "Mul", "Add", "Sub", "Div"):
        return None
    output = node.outputs[0]
    first = reader.inputs[0] is output
    other = constant(reader.inputs[1 if first else 0])
    shape, after = facts.shape(output), facts.shape(reader.outputs[0])
    if other is None or other.dtype != np.float32 or shape is None or shape != after:
        return None
    flat = _per_channel(other.astype(np.float64), channels, len(shape))
    if flat is None:
        return None
    if reader.op_type == "Mul":
        return flat, zeros
    if reader.op_type == "Add":
        return ones, flat
    if reader.op_type == "Sub":
        return (ones, -flat) if first else (-ones, flat)
    return (1 / flat, zeros) if first and (flat != 0).all() else None


def _per_channel(array: NDArray[Any], channels: int, rank: int) -> NDArray[np.float64] | None:
    """``array``, broadcast against (N, channels, ...) of ``rank`` axes, as one number a channel."""
    if array.size == 1:
        return np.full(channels, array.reshape(()))
    place = array.ndim - (rank - 1)
    if place < 0 or array.shape[place] != channels or array.size != channels:
        return None
    return np.asarray(array.ravel())


def _apply(editor: Editor, node: ir.Node, weight: NDArray[np.float32], scale: Any, shift: Any) -> bool:
    channels = scale.size
    old = constant(node.inputs[2]) if len(node.inputs) > 2 and node.inputs[2] is not None else np.zeros(channels)
    beta = 1.0
    if node.op_type == "Gemm":
        if old.size not in (1, channels) or old.ndim > 2 or (old.ndim == 2 and old.shape[0] != 1):
            return False
        beta = number(node, "beta", 1.0)
        across = scale[:, None] if integer(node, "transB", 0) else scale[None, :]
    elif node.op_type == "ConvTranspose":
        group = integer(node, "group", 1)
        across = np.repeat(scale.reshape(group, 1, -1), weight.shape[0] // group, axis=1)
        across = across.reshape(weight.shape[0], weight.shape[1], *[1] * (weight.ndim - 2))
    else:
        across = scale.reshape(-1, *[1] * (weight.ndim - 1))
    folded = (weight.astype(np.float64) * across).astype(np.float32)
    bias = (np.broadcast_to(old.ravel(), (channels,)).astype(np.float64) * beta * scale + shift).astype(np.float32)
    if not (np.isfinite(folded).all() and np.isfinite(bias).all()):
        return False
    if (scale != 1).any():  # a shift alone leaves a shared weight shared
        node.replace_input_with(1, editor.store(folded))
    node.resize_inputs(3)
    node.replace_input_with(2, editor.store(bias))
    node.attributes.pop("beta", None)
    return True
