"""Scaled dot-product attention, found by what it does and written as one operator.

Vaswani et al., "Attention Is All You Need", NeurIPS 2017, section 3.2; ONNX Attention, operator set 23; ONNX Runtime's
com.microsoft.MultiHeadAttention. Queries, keys and values that project the same rows share one merged product.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from edgewright.compression.rewriting.editor import Editor, axis_index, integer, is_standard, sole_reader
from edgewright.compression.rewriting.facts import Facts
from edgewright.compression.rewriting.linear import Linear, as_linear, rows, write_linear
from edgewright.compression.rewriting.movement import Trail, back, end_of, forth, scaled
from edgewright.graphs.graph import constant

OPSET = 23


@dataclass(frozen=True)
class Heads:
    """One operand: ``heads`` x ``width`` columns of a linear layer, (batch, tokens, columns) from ``data``."""

    data: ir.Value
    weight: NDArray[np.float32]
    bias: NDArray[np.float32] | None
    heads: int
    scale: float


@dataclass(frozen=True)
class Site:
    """One attention: its operands, the mask added to the scores, the scale, and the value to replace.

    ``turned``: the value to replace has its tokens first.
    """

    query: Heads
    key: Heads
    value: Heads
    mask: ir.Value | None
    scale: float
    output: ir.Value
    turned: bool


def fuse_attention(editor: Editor, facts: Facts, contrib: bool) -> int:
    """Replace every attention that is understood; returns how many."""
    count = 0
    for node in list(editor.graph):
        if node.graph is None or not is_standard(node, "Softmax"):
            continue
        site = _site(node, facts)
        if site is not None:
            _write(editor, site, facts, contrib)
            count += 1
    return count


def _site(softmax: ir.Node, facts: Facts) -> Site | None:
    shape = facts.shape(softmax.outputs[0])
    opset = softmax.graph.opset_imports.get("", 0) if softmax.graph is not None else 0
    if shape is None or axis_index(integer(softmax, "axis", -1 if opset >= 13 else 1), len(shape)) != len(shape) - 1:
        return None
    scores = _scores(softmax.inputs[0], facts)
    mix = sole_reader(softmax.outputs[0])
    if scores is None or not is_standard(mix, "MatMul") or mix is None or mix.inputs[0] is not softmax.outputs[0]:
        return None
    product, scale, mask = scores
    query, key = _operand(product.inputs[0], facts, False), _operand(product.inputs[1], facts, True)
    value = _operand(mix.inputs[1], facts, False)
    if query is None or key is None or value is None or value.scale != 1.0:
        return None
    if not query.heads == key.heads == value.heads or query.weight.shape[1] != key.weight.shape[1]:
        return None
    found = _end(mix.outputs[0], query.heads, facts)
    if found is None or (mask is not None and not _fits(mask, len(shape), facts)):
        return None
    return Site(query, key, value, mask, scale * query.scale * key.scale, *found)


def _scores(value: ir.Value | None, facts: Facts) -> tuple[ir.Node, float, ir.Value | None] | None:
    """The product of queries and keys behind ``value``, the scale between, the mask added."""
    scale, mask = 1.0, None
    while value is not None:
        node = value.producer()
        if node is None or sole_reader(value) is None:
            return None
        if is_standard(node, "MatMul"):
            return node, scale, mask
        found = scaled(node, facts)
        if found is not None:
            scale *= found[1]
            value = found[0]
        elif is_standard(node, "Add") and mask is None and scale == 1.0:
            sides = [v for v in node.inputs if v is not None and _leads_to_product(v, facts)]
            if len(sides) != 1:
                return None
            value = sides[0]
            mask = next(v for v in node.inputs if v is not value)
        else:
            return None
    return None


def _leads_to_product(value: ir.Value, facts: Facts) -> bool:
    node = value.producer()
    found = scaled(node, facts)
    while found is not None:
        node = found[0].producer()
        found = scaled(node, facts)
    return is_standard(node, "MatMul") and node is not None and as_linear(node.outputs[0]) is None


def _fits(mask: ir.Value, rank: int, facts: Facts) -> bool:
    shape = facts.shape(mask)
    whole = shape is not None and (len(shape) == 4 or (len(shape) in (2, 3) and constant(mask) is not None))
    return whole and rank == 4 and mask.dtype in (None, ir.DataType.FLOAT)


def _operand(value: ir.Value | None, facts: Facts, turned: bool) -> Heads | None:
    """``value``, (batch, heads, tokens, width) or with the last two ``turned``, back to rows times a weight."""
    if value is None:
        return None
    for trail in back(value, facts, scales=True):
        layer = as_linear(trail.source)
        if layer is not None:
            # What somebody outside reads would have to be computed twice.
            seen = any(v.is_graph_output() for v in (layer.output, *(output for _, output in trail.links)))
            return None if seen else _heads(layer, trail, facts, turned)
    return None


def _heads(layer: Linear, trail: Trail, facts: Facts, turned: bool) -> Heads | None:
    found = [_columns(layer, trail, facts, turned, run) for run in range(min(2, len(facts.runs(layer.output))))]
    if not found or found[0] is None:
        return None
    heads, columns, _ = found[0]
    for one in found:
        if one is None or one[0] != heads or not np.array_equal(one[1], columns):
            return None
    for before in back(layer.data, facts):
        if all(_canonical(before, one[2], facts, run) for run, one in enumerate(found) if one is not None):
            bias = None if layer.bias is None else layer.bias[columns]
            return Heads(before.source, layer.weight[:, columns], bias, heads, trail.scale)
    return None


def _columns(
    layer: Linear, trail: Trail, facts: Facts, turned: bool, run: int
) -> tuple[int, NDArray[np.int64], NDArray[np.int64]] | None:
    """Heads, the layer's column behind each (head, width), and its row behind each (batch, token)."""
    moved = trail.trace(facts, run)
    outputs = layer.weight.shape[1]
    if moved is None or moved.ndim not in (3, 4):
        return None
    if turned:
        moved = moved.swapaxes(-1, -2)
    groups, tokens, width = int(np.prod(moved.shape[:-2])), moved.shape[-2], moved.shape[-1]
    count = int(np.prod(facts.runs(layer.output)[run][:-1]))
    if not tokens or not width or count % tokens or groups % (count // tokens):
        return None
    batch = count // tokens
    heads = groups // batch
    if moved.ndim == 4 and moved.shape[:2] != (batch, heads):
        return None
    flat = moved.reshape(batch, heads, tokens, width).transpose(0, 2, 1, 3).reshape(batch, tokens, heads * width)
    row, column = flat // outputs, flat % outputs
    if (column != column[0, 0]).any() or (row != row[:, :, :1]).any():
        return None
    return heads, column[0, 0], row[:, :, 0]


def _canonical(before: Trail, wanted: NDArray[np.int64], facts: Facts, run: int) -> bool:
    """Whether the rows ``wanted`` of what ``before`` leads to are its source's own, in order, as (batch, tokens)."""
    shape = facts.runs(before.source)
    if run >= len(shape) or shape[run][:-1] != wanted.shape:
        return False
    into = rows(before, facts, run)
    return into is not None and np.array_equal(into[wanted.ravel()], np.arange(wanted.size))


def _end(value: ir.Value, heads: int, facts: Facts) -> tuple[ir.Value, bool] | None:
    """The value behind the mixing product that holds (batch, tokens, heads x width), and whether tokens come first."""
    best: tuple[ir.Value, bool] | None = None
    for trail in forth(value):
        for turned in (False, True):
            runs = range(min(2, len(facts.runs(value))))
            if best is None and runs and all(_joined(trail, heads, turned, facts, run) for run in runs):
                best = end_of(trail), turned
                if not turned:
                    return best
    return best


def _joined(trail: Trail, heads: int, turned: bool, facts: Facts, run: int) -> bool:
    moved, start = trail.trace(facts, run), facts.runs(trail.source)[run]
    if moved is None or len(start) < 3:
        return False
    tokens, width = start[-2:]
    groups = int(np.prod(start[:-2]))
    if groups % heads:
        return False
    indices = np.arange(groups * tokens * width).reshape(groups // heads, heads, tokens, width)
    wanted = indices.transpose(2, 0, 1, 3) if turned else indices.transpose(0, 2, 1, 3)
    if not turned and moved.shape != (groups // heads, tokens, heads * width):
        return False
    return moved.shape[-1] == heads * width and np.array_equal(moved.ravel(), wanted.ravel())


def _mask(editor: Editor, mask: ir.Value) -> ir.Value:
    """The mask with four axes, which one of the operators insists on."""
    array = constant(mask)
    return mask if array is None or array.ndim == 4 else editor.store(array[(None,) * (4 - array.ndim)])


def _write(editor: Editor, site: Site, facts: Facts, contrib: bool) -> None:
    query, key, value = _project(editor, site)
    inputs: list[ir.Value | None] = [query, key, value]
    heads = site.query.heads
    if contrib:
        if site.mask is not None:
            inputs += [None, None, _mask(editor, site.mask)]
        made = editor.node(
            "MultiHeadAttention", inputs, {"num_heads": heads, "scale": float(site.scale)}, "com.microsoft"
        )
    else:
        if site.mask is not None:
            inputs.append(_mask(editor, site.mask))
        made = editor.node(
            "Attention", inputs, {"q_num_heads": heads, "kv_num_heads": heads, "scale": float(site.scale)}
        )
    if site.turned:
        made = editor.node("Transpose", [made], {"perm": [1, 0, 2]})
        runs = facts.runs(site.output)
        if len(runs[0]) == 2:
            made = editor.node("Reshape", [made, editor.store([-1, runs[0][-1]], np.int64)])
    editor.replace(site.output, made)


def _project(editor: Editor, site: Site) -> list[ir.Value]:
    """The three projections, one product for those that read the same rows."""
    operands = (site.query, site.key, site.value)
    made: dict[int, ir.Value] = {}
    for source in dict.fromkeys(o.data for o in operands):
        group = [i for i, o in enumerate(operands) if o.data is source]
        weight = np.concatenate([operands[i].weight for i in group], axis=1)
        widths = [operands[i].weight.shape[1] for i in group]
        biases = [operands[i].bias for i in group]
        bias = None
        if any(b is not None for b in biases):
            bias = np.concatenate([np.zeros(w) if b is None else b for b, w in zip(biases, widths, strict=True)])
        merged = write_linear(editor, source, weight, bias)
        if len(group) == 1:
            made[group[0]] = merged
            continue
        sizes = editor.store(widths, np.int64)
        made.update(zip(group, editor.nodes("Split", [merged, sizes], {"axis": -1}, "", len(group)), strict=True))
    return [made[i] for i in range(3)]
