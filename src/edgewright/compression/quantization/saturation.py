"""Saturation: what a CPU without VNNI would answer where its kernels cut sums of two products to 16 bits.

``vpmaddubsw`` multiplies unsigned by signed bytes, adds neighbouring products and saturates the sum to a signed word
(Intel 64 and IA-32 Architectures Software Developer's Manual, volume 2, PMADDUBSW). Kernels for AVX2 and for AVX-512
without VNNI are built on it (ONNX Runtime's MLAS, QgemmU8X8KernelAvx2; oneDNN, "Nuances of int8 computations"), so
8-bit weights beside large activations give other answers there. Here the sums are taken apart exactly, layer by layer,
and what one layer loses the next one reads.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgewright.compression.pruning.stepper import Stepper
from edgewright.compression.quantization.kernels import Product, product, unseen
from edgewright.compression.quantization.placement import label
from edgewright.core.model import Model
from edgewright.core.session import Arrays, EngineOptions
from edgewright.engines import open_session
from edgewright.graphs.graph import open_graph

LEAST, MOST = -(2**15), 2**15 - 1


@dataclass(frozen=True)
class LayerSaturation:
    """One layer. ``pairs``: sums of two products looked at, ``saturated``: those cut. ``outputs``: 32-bit sums,
    ``touched``: those that came out wrong. ``noise_db``: 10 log10(sum y^2 / sum loss^2) of its output, None where
    nothing was lost. ``possible``: some pair could saturate for some input, were the weights paired in any order.
    ``ordered``: whether the pairs looked at are the engine's on every such CPU, not on those with AVX2 alone."""

    layer: str
    op_type: str
    pairs: int
    saturated: int
    outputs: int
    touched: int
    noise_db: float | None
    possible: bool
    ordered: bool

    @property
    def share(self) -> float:
        """Saturated pairs as a share of all."""
        return self.saturated / max(self.pairs, 1)


@dataclass(frozen=True, eq=False)
class Saturation:
    """All layers, and the answers by output name, (samples, ...), exact and saturated.

    ``unseen``: operators whose products could not be followed. ``samples``: how many inputs were looked at.
    """

    layers: tuple[LayerSaturation, ...]
    unseen: tuple[str, ...]
    samples: int
    exact: Mapping[str, NDArray[Any]] = field(repr=False)
    saturated: Mapping[str, NDArray[Any]] = field(repr=False)

    @property
    def pairs(self) -> int:
        """Pairs looked at."""
        return sum(layer.pairs for layer in self.layers)

    @property
    def cut(self) -> int:
        """Pairs that saturated."""
        return sum(layer.saturated for layer in self.layers)


def excess(activations: NDArray[np.uint8], weights: NDArray[np.int8]) -> tuple[NDArray[np.int64], int]:
    """What saturation takes from ``activations @ weights``: (m, n) for (m, K) by (K, n), and how many pairs it cut.

    Pairs are the neighbours (0, 1), (2, 3)... along K, an odd one out being alone. Exact product minus the result is
    what the instruction answers. Only pairs whose weights could reach the limit beside the largest activations of
    their columns are multiplied out.
    """
    rows, depth = activations.shape
    lost = np.zeros((rows, weights.shape[1]), np.int64)
    cut = 0
    if depth % 2:
        activations = np.pad(activations, ((0, 0), (0, 1)))
        weights = np.pad(weights, ((0, 1), (0, 0)))
    if not rows:
        return lost, cut
    highest = activations.max(axis=0).astype(np.int32)[:, None]
    for p in np.flatnonzero(_reach(weights, highest).any(axis=1)):
        i = 2 * int(p)
        chosen = np.flatnonzero(_reach(weights[i : i + 2], highest[i : i + 2])[0])
        pair = weights[i : i + 2, chosen].astype(np.int32)
        sums = activations[:, i, None] * pair[0] + activations[:, i + 1, None] * pair[1]
        over = sums - np.clip(sums, LEAST, MOST)
        lost[:, chosen] += over
        cut += int(np.count_nonzero(over))
    return lost, cut


def _reach(weights: NDArray[np.int8], highest: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Whether a pair could leave 16 bits: (K / 2, n) for weights (K, n) and the largest activations (K, 1)."""
    most = np.maximum(weights, 0) * highest
    least = np.minimum(weights, 0) * highest
    found: NDArray[np.bool_] = (most[0::2] + most[1::2] > MOST) | (least[0::2] + least[1::2] < LEAST)
    return found


def possible(weights: NDArray[np.int8]) -> bool:
    """Whether two weights of one output channel could saturate beside some activations, whatever the order along K.

    Never with 7-bit weights: 2 x 255 x 63 is below 2^15.
    """
    wide = np.sort(weights.astype(np.int32), axis=0)
    if wide.shape[0] < 2:
        return False
    top = np.maximum(wide[-2:], 0).sum(axis=0) * 255
    bottom = np.minimum(wide[:2], 0).sum(axis=0) * 255
    return bool((top > MOST).any() or (bottom < LEAST).any())


def emulate(
    model: Model, batches: Sequence[Arrays], engine: str = "onnxruntime",
    checkpoint: Callable[[], None] = lambda: None,
) -> Saturation:  # fmt: skip
    """What ``model`` would lose on a CPU that saturates, on the given requests.

    Every product of 8-bit numbers is taken to run on integers; where the engine computes it in floats it loses nothing,
    so this is an upper bound. ``checkpoint`` is called between nodes. Raises Refused for another format than ONNX, for
    control flow, and for nodes that do not run by themselves.
    """
    graph = open_graph(model)
    names = [str(v.name) for v in graph.graph.outputs]
    hidden = tuple(sorted(set(unseen(graph.graph))))
    samples = sum(_rows(batch) for batch in batches)
    if not any(node.op_type == "DequantizeLinear" or node.op_type.endswith("Integer") for node in graph.graph):
        return Saturation((), hidden, samples, {}, {})
    stepper = Stepper(graph.graph, list(batches), graph.graph.opset_imports)
    layers = []
    for node in graph.graph:
        checkpoint()
        found = product(node, stepper.values, fours=engine == "openvino")
        losses = None if found is None else _losses(found, stepper.values[found.data], checkpoint)
        stepper.step(node)
        if found is not None and losses is not None:
            layers.append(_apply(found, losses, stepper, engine))
    if not any(layer.saturated for layer in layers):
        return Saturation(tuple(layers), hidden, samples, {}, {})
    saturated = {name: np.concatenate([np.atleast_1d(c) for c in stepper.values[name]]) for name in names}
    with open_session(model, options=EngineOptions(graph_level="none")) as session:
        answers = [session.infer(batch) for batch in batches]
    exact = {name: np.concatenate([np.atleast_1d(a[name]) for a in answers]) for name in names}
    return Saturation(tuple(layers), hidden, samples, exact, saturated)


@dataclass(frozen=True, eq=False)
class _Losses:
    """For each chunk the integers lost of each sample (positions, channels), with the counts over all of them."""

    chunks: list[list[NDArray[np.int64]]]
    pairs: int
    cut: int


def _losses(found: Product, chunks: Sequence[NDArray[Any]], checkpoint: Callable[[], None]) -> _Losses:
    made, pairs, cut = [], 0, 0
    groups, depth, channels = found.weights.shape
    for chunk in chunks:
        parts = []
        for rows in found.rows(chunk):
            checkpoint()
            each = [excess(rows[:, g], found.weights[g]) for g in range(groups)]
            parts.append(np.concatenate([lost for lost, _ in each], axis=1))
            pairs += rows.shape[0] * groups * -(-depth // 2) * channels
            cut += sum(count for _, count in each)
        made.append(parts)
    return _Losses(made, pairs, cut)


def _apply(found: Product, losses: _Losses, stepper: Stepper, engine: str) -> LayerSaturation:
    """Take the losses from what the node answered, and tell of them."""
    output = str(found.node.outputs[0].name)
    signal = noise = 0.0
    outputs = touched = 0
    chunks = stepper.values.get(output, [])
    for i, (chunk, lost) in enumerate(zip(chunks, losses.chunks, strict=False)):
        wrong = found.shaped(list(lost), chunk)
        signal += float(np.sum(chunk.astype(np.float64) ** 2))
        noise += float(np.sum(wrong**2))
        outputs += wrong.size
        touched += int(np.count_nonzero(wrong))
        if losses.cut:
            chunks[i] = (chunk - wrong).astype(chunk.dtype)
    return LayerSaturation(
        label(found.node), found.node.op_type, losses.pairs, losses.cut, outputs, touched,
        10 * float(np.log10(max(signal, 1e-30) / noise)) if noise > 0 else None,
        any(possible(part) for part in found.weights), _ordered(found, engine),
    )  # fmt: skip


def _ordered(found: Product, engine: str) -> bool:
    return engine == "onnxruntime" or found.channels % 4 == 0 or not found.spatial


def _rows(batch: Arrays) -> int:
    return max((array.shape[0] for array in batch.values() if array.ndim), default=1)


__all__ = ["LayerSaturation", "Saturation", "emulate", "excess", "possible"]
