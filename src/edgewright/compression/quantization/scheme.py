"""The arithmetic of affine quantization: real = (integer - zero_point) * scale.

Jacob et al., "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference", CVPR
2018, section 2.1; ONNX QuantizeLinear and DequantizeLinear, opset 13.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Activations = Literal["u8", "s8", "s8_symmetric"]
"""u8: asymmetric unsigned. s8: signed, zero point -128 where nothing is negative, so that a Relu still falls into the
clipping. s8_symmetric: zero point 0 always, as TensorRT asks."""

# Keeps bias / (input scale * weight scale) inside int32 with room for the accumulation.
_BIAS_LIMIT = 2.0**30


@dataclass(frozen=True)
class Affine:
    """One tensor's scale and zero point; ``dtype`` is ``uint8`` or ``int8``."""

    scale: np.float32
    zero_point: int
    dtype: str

    @property
    def limits(self) -> tuple[int, int]:
        """The integers it may take."""
        return (0, 255) if self.dtype == "uint8" else (-128, 127)

    def round_trip(self, x: NDArray[Any]) -> NDArray[Any]:
        """``x`` quantized and back, in float64."""
        low, high = self.limits
        q = np.clip(np.rint(np.asarray(x, np.float64) / self.scale) + self.zero_point, low, high)
        restored: NDArray[Any] = (q - self.zero_point) * np.float64(self.scale)
        return restored


def affine(low: float, high: float, activations: Activations) -> Affine:
    """Scale and zero point for values between ``low`` and ``high``; zero is always represented exactly."""
    low, high = min(float(low), 0.0), max(float(high), 0.0)
    dtype = "uint8" if activations == "u8" else "int8"
    least, most = (0, 255) if dtype == "uint8" else (-128, 127)
    if activations == "s8_symmetric" or (activations == "s8" and low < 0):
        scale = np.float32(max(-low, high) / 127)
        return Affine(scale if scale > 0 else np.float32(1), 0, dtype)
    scale = np.float32((high - low) / 255)
    if not scale > 0:
        return Affine(np.float32(1), least, dtype)
    zero = int(np.clip(np.rint(least - low / np.float64(scale)), least, most))
    return Affine(scale, zero, dtype)


def weight_scales(
    weight: NDArray[Any], axis: int | None, bits: int, bias: NDArray[Any] | None = None, input_scale: float = 1.0
) -> NDArray[np.float32]:
    """Symmetric scales of a weight: shape () per tensor, (channels,) along ``axis``.

    A channel of zeros gets scale 1. A channel whose bias would not fit int32 at ``input_scale`` times its scale (dead
    weights, live bias) gets a larger scale: engines saturate there without a word.
    """
    most = 2 ** (bits - 1) - 1
    if axis is None:
        peak = np.abs(weight).max(initial=0.0, keepdims=False)
    else:
        peak = np.abs(np.moveaxis(weight, axis, 0).reshape(weight.shape[axis], -1)).max(axis=1, initial=0.0)
    scales = np.where(peak > 0, peak / most, 1.0).astype(np.float64)
    if bias is not None:
        needed = np.abs(bias).astype(np.float64) / (input_scale * _BIAS_LIMIT)
        scales = np.maximum(scales, needed if axis is not None else needed.max(initial=0.0))
    result: NDArray[np.float32] = np.maximum(scales, np.finfo(np.float32).tiny * 1e6).astype(np.float32)
    return result


def quantize_weight(weight: NDArray[Any], scales: NDArray[np.float32], axis: int | None, bits: int) -> NDArray[np.int8]:
    """``weight`` as integers of ``bits`` bits, ties to even."""
    most = 2 ** (bits - 1) - 1
    steps = _along(scales, weight.ndim, axis)
    return np.clip(np.rint(np.asarray(weight, np.float64) / steps), -most, most).astype(np.int8)


def restore_weight(integers: NDArray[Any], scales: NDArray[np.float32], axis: int | None) -> NDArray[np.float64]:
    """What the integers stand for."""
    restored: NDArray[np.float64] = integers.astype(np.float64) * _along(scales, integers.ndim, axis)
    return restored


def _along(scales: NDArray[np.float32], rank: int, axis: int | None) -> NDArray[np.float64]:
    shape = [-1 if i == axis else 1 for i in range(rank)] if axis is not None else []
    return scales.astype(np.float64).reshape(shape)
