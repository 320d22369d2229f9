"""Rows: what a layer reads and writes, as matrices for least squares, at a bounded number of places."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from edgewright.compression.pruning.layers import Layer, attribute
from edgewright.compression.pruning.stepper import Chunks


@dataclass(frozen=True)
class Places:
    """Which output positions of a layer are looked at: for each chunk, flat indices into (batch, positions...)."""

    chosen: tuple[NDArray[np.int64], ...]

    @property
    def count(self) -> int:
        """Rows there will be."""
        return sum(c.size for c in self.chosen)


def choose_places(layer: Layer, output: Chunks, limit: int, seed: int) -> Places:
    """At most about ``limit`` places of ``output``, spread evenly over samples, drawn by ``seed``."""
    spread = [positions(layer, chunk) for chunk in output]
    share = min(1.0, limit / max(sum(spread), 1))
    rng = np.random.default_rng(seed)
    chosen = []
    for count in spread:
        take = max(1, round(count * share)) if share < 1 else count
        chosen.append(np.sort(rng.choice(count, take, replace=False)) if take < count else np.arange(count))
    return Places(tuple(chosen))


def positions(layer: Layer, chunk: NDArray[Any]) -> int:
    """Output positions in a chunk: batch times spatial sizes, or times tokens."""
    channels = chunk.shape[1] if layer.kind in ("conv", "depthwise") else chunk.shape[-1]
    return int(chunk.size // max(channels, 1))


def written(layer: Layer, output: Chunks, places: Places) -> NDArray[np.float64]:
    """What stands at the places of a value shaped like the layer's output: (rows, channels)."""
    rows = []
    for chunk, chosen in zip(output, places.chosen, strict=True):
        flat = np.moveaxis(chunk, 1, -1) if layer.kind in ("conv", "depthwise") else chunk
        rows.append(flat.reshape(-1, flat.shape[-1])[chosen])
    return np.concatenate(rows).astype(np.float64)


def read(layer: Layer, data: Chunks, places: Places) -> NDArray[np.float64]:
    """What the layer reads for each place: (rows, channels, taps)."""
    rows = []
    for chunk, chosen in zip(data, places.chosen, strict=True):
        rows.append(_windows(layer, chunk, chosen))
    return np.concatenate(rows).astype(np.float64)


def _windows(layer: Layer, chunk: NDArray[Any], chosen: NDArray[np.int64]) -> NDArray[Any]:
    if layer.kind not in ("conv", "depthwise"):
        flat = chunk.reshape(-1, chunk.shape[-1])[chosen]
        return flat[:, :, None]
    kernel = layer.array().shape[2:]
    rank = len(kernel)
    strides = list(attribute(layer.node, "strides", [1] * rank))
    dilations = list(attribute(layer.node, "dilations", [1] * rank))
    padding = pads(layer, chunk.shape[2:], kernel, strides, dilations)
    padded = np.pad(chunk, [(0, 0), (0, 0), *padding])
    reach = tuple((k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True))
    windows = sliding_window_view(padded, reach, axis=tuple(range(2, 2 + rank)))
    steps = [slice(None, None, s) for s in (*strides, *dilations)]
    windows = windows[(slice(None), slice(None), *steps)]
    places = np.unravel_index(chosen, (windows.shape[0], *windows.shape[2 : 2 + rank]))
    index: Any = (places[0], slice(None), *places[1:])
    found: NDArray[Any] = windows[index]
    return found.reshape(found.shape[0], found.shape[1], -1)


def pads(
    layer: Layer, sizes: tuple[int, ...], kernel: tuple[int, ...], strides: list[int], dilations: list[int]
) -> list[tuple[int, int]]:
    """Padding before and after each spatial axis, ``auto_pad`` resolved (ONNX Conv-11)."""
    rank = len(kernel)
    auto = attribute(layer.node, "auto_pad", "NOTSET")
    if auto in ("NOTSET", ""):
        given = list(attribute(layer.node, "pads", [0] * (2 * rank)))
        return [(given[i], given[i + rank]) for i in range(rank)]
    if auto == "VALID":
        return [(0, 0)] * rank
    result = []
    for size, k, s, d in zip(sizes, kernel, strides, dilations, strict=True):
        total = max((-(-size // s) - 1) * s + (k - 1) * d + 1 - size, 0)
        small, large = total // 2, total - total // 2
        result.append((small, large) if auto == "SAME_UPPER" else (large, small))
    return result
