"""Antialiased resizing in numpy, bit for bit what Pillow gives for 8-bit images.

A device that has no Pillow must see the very tensors the model was measured on. Pillow's resampling
(``src/libImaging/Resample.c``) is a sum of integers: coefficients of 22 fractional bits times 8-bit pixels, one pass a
direction (columns first), rounded to 8 bits after each. Those sums stay below 2**53, so double precision carries them
exactly.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Resampling = Literal["bilinear", "bicubic"]
_BITS = 22  # Pillow's PRECISION_BITS: 32 - 8 bits of a pixel - 2 for overshoot


def resize(image: NDArray[Any], size: tuple[int, int], method: Resampling = "bilinear") -> NDArray[Any]:
    """``image`` (H, W, C) at ``size`` (h, w): uint8 as Pillow rounds it, floats without rounding."""
    height, width = size
    exact = image.dtype == np.uint8
    if image.shape[1] != width:
        image = _pass(image.transpose(1, 0, 2), width, method, exact).transpose(1, 0, 2)
    if image.shape[0] != height:
        image = _pass(image, height, method, exact)
    return np.ascontiguousarray(image)


def _pass(image: NDArray[Any], size: int, method: Resampling, exact: bool) -> NDArray[Any]:
    """Resample the first axis of ``image`` (n, ...) to ``size``."""
    starts, weights = _bands(image.shape[0], size, method, exact)
    flat = np.ascontiguousarray(image).reshape(image.shape[0], -1)
    sums = np.empty((size, flat.shape[1]), np.float64)
    for i, (start, band) in enumerate(zip(starts, weights, strict=True)):
        np.matmul(band, flat[start : start + band.size].astype(np.float64), out=sums[i])
    if not exact:
        return sums.reshape(size, *image.shape[1:]).astype(image.dtype)
    sums += 1 << (_BITS - 1)
    np.floor(np.multiply(sums, 2.0**-_BITS, out=sums), out=sums)
    return np.clip(sums, 0, 255).astype(np.uint8).reshape(size, *image.shape[1:])


@lru_cache(maxsize=64)
def _bands(source: int, size: int, method: Resampling, exact: bool) -> tuple[list[int], list[NDArray[np.float64]]]:
    """For every output position, where its band of the input starts and the band's weights."""
    scale = source / size
    stretch = max(scale, 1.0)
    support = {"bilinear": 1.0, "bicubic": 2.0}[method] * stretch
    starts, weights = [], []
    for i in range(size):
        centre = (i + 0.5) * scale
        first = max(int(centre - support + 0.5), 0)
        last = min(int(centre + support + 0.5), source)
        band = [_kernel((x - centre + 0.5) / stretch, method) for x in range(first, last)]
        total = sum(band)
        # Half away from zero, as C's truncation of 0.5 + x (or of x - 0.5) gives it.
        steps = [w / total * (1 << _BITS) for w in band] if exact else []
        starts.append(first)
        weights.append(
            np.array([math.trunc(s + math.copysign(0.5, s)) for s in steps] if exact else [w / total for w in band],
                     np.float64)
        )  # fmt: skip
    return starts, weights


def _kernel(x: float, method: Resampling) -> float:
    x = abs(x)
    if method == "bilinear":
        return max(1.0 - x, 0.0)
    a = -0.5  # Keys' cubic convolution with Pillow's parameter
    if x < 1.0:
        return ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0
    if x < 2.0:
        return (((x - 5.0) * x + 8.0) * x - 4.0) * a
    return 0.0
