"""Weights in blocks of a few bits each: scales that make the least error, and errors handed on to what follows.

Frantar et al., "GPTQ: Accurate Post-Training Quantization for Generative Pre-trained Transformers", ICLR 2023.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_SHRINKS = np.linspace(1.0, 0.55, 16).astype(np.float32)
_DAMPING = 0.01
_SPAN = 128
_WINDOW = 1024

Array = NDArray[np.float64]
Array32 = NDArray[np.float32]


@dataclass(frozen=True)
class Blocks:
    """W[k, n] = (``integers``[n, k] - ``zeros``[n, b]) * ``scales``[n, b], block b = k // ``size``, inputs padded.

    integers: (outputs, blocks * size) uint8; scales: (outputs, blocks) float32; zeros: (outputs, blocks) uint8.
    """

    integers: NDArray[np.uint8]
    scales: NDArray[np.float32]
    zeros: NDArray[np.uint8]
    size: int
    bits: int

    def restore(self) -> NDArray[np.float32]:
        """The (outputs, padded inputs) weights that the integers stand for."""
        outputs, blocks = self.scales.shape
        shaped = self.integers.reshape(outputs, blocks, self.size).astype(np.float32)
        whole = (shaped - self.zeros[:, :, None].astype(np.float32)) * self.scales[:, :, None]
        restored: NDArray[np.float32] = whole.reshape(outputs, -1)
        return restored

    def packed(self) -> NDArray[np.uint8]:
        """(outputs, blocks, bytes): two 4-bit integers a byte, the first in the low half."""
        shaped = self.integers.reshape(*self.scales.shape, self.size)
        return shaped if self.bits == 8 else _pairs(shaped)

    def packed_zeros(self) -> NDArray[np.uint8]:
        """(outputs, bytes), each row padded to whole bytes."""
        if self.bits == 8:
            return self.zeros
        return _pairs(np.pad(self.zeros, ((0, 0), (0, self.zeros.shape[1] % 2))))


def _pairs(integers: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return (integers[..., 0::2] | (integers[..., 1::2] << 4)).astype(np.uint8)


def quantize_blocks(
    weight: NDArray[np.float32], size: int, bits: int, symmetric: bool, moments: Array | None = None
) -> Blocks:
    """``weight`` (inputs, outputs) in blocks of ``size`` inputs.

    With ``moments``, E[x x^T] of the inputs, each input's rounding error is made up for by the inputs after it (GPTQ);
    without, every block has least squared error by itself.
    """
    inputs, outputs = weight.shape
    count = -(-inputs // size)
    rows = np.zeros((outputs, count * size), np.float32)
    rows[:, :inputs] = weight.T
    importance = np.ones(count * size)
    if moments is not None:
        importance[:inputs] = np.maximum(np.diag(moments), 1e-12)
    made = Blocks(
        np.zeros(rows.shape, np.uint8),
        np.zeros((outputs, count), np.float32),
        np.zeros((outputs, count), np.uint8),
        size,
        bits,
    )
    factor = None if moments is None else _inverse_factor(moments, count * size)
    # What is handed on goes to the next inputs at once and to all the others in one product now and then.
    span = max(size, _SPAN)
    for start in range(0, count * size, span):
        stop = min(start + span, count * size)
        errors = np.zeros((outputs, stop - start), np.float32)
        for block in range(start // size, stop // size):
            part = slice(block * size, (block + 1) * size)
            made.scales[:, block], made.zeros[:, block] = _choose(rows[:, part], importance[part], bits, symmetric)
            if factor is None:
                _round_block(made, rows, block)
            else:
                _round_in_turn(made, rows, block, errors[:, part.start - start : part.stop - start], factor)
                later = slice(part.stop, stop)
                rows[:, later] -= errors[:, part.start - start : part.stop - start] @ factor[part, later]
        if factor is not None:
            rows[:, stop:] -= errors @ factor[start:stop, stop:]
    return made


def _round_block(made: Blocks, rows: Array32, block: int) -> None:
    part = slice(block * made.size, (block + 1) * made.size)
    scale, zero = made.scales[:, block, None], made.zeros[:, block, None]
    made.integers[:, part] = _round(rows[:, part], scale, zero, made.bits)


def _round_in_turn(made: Blocks, rows: Array32, block: int, errors: Array32, factor: Array32) -> None:
    """Round one input after the other, each error handed on to the block's later inputs; ``errors`` is filled."""
    first = block * made.size
    held = np.ascontiguousarray(rows[:, first : first + made.size].T)
    local = factor[first : first + made.size, first : first + made.size]
    scale, zero = made.scales[:, block], made.zeros[:, block]
    for offset in range(made.size):
        rounded = _round(held[offset], scale, zero, made.bits)
        made.integers[:, first + offset] = rounded
        error = (held[offset] - (rounded.astype(np.float32) - zero) * scale) / local[offset, offset]
        errors[:, offset] = error
        held[offset + 1 :] -= local[offset, offset + 1 :, None] * error


def _inverse_factor(moments: Array, padded: int) -> Array32:
    """Upper U with U^T U = the inverse of the damped moments; what is padded stands alone.

    With J the reversal, J H J = L L^T gives U = J L^-1 J: no inverse of H is formed. Errors are handed on within
    windows of inputs, as the work for all of them grows with the cube of their number.
    """
    from scipy.linalg import cholesky, lapack

    size = moments.shape[0]
    damping = _DAMPING * max(float(np.mean(np.diag(moments))), 1e-12)
    whole = np.eye(padded, dtype=np.float32)
    for start in range(0, size, _WINDOW):
        stop = min(start + _WINDOW, size)
        damped = moments[start:stop, start:stop] + np.eye(stop - start) * damping
        lower = cholesky(damped[::-1, ::-1], lower=True, check_finite=False)
        inverse, _ = lapack.dtrtri(lower, lower=1)
        whole[start:stop, start:stop] = inverse[::-1, ::-1]
    return whole


def _choose(
    rows: Array32, importance: Array, bits: int, symmetric: bool
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Scale and zero point per row with the least weighted squared error over 16 clippings of its range."""
    most = 2**bits - 1
    weights = importance.astype(np.float32)
    low, high = np.minimum(rows.min(axis=1), 0), np.maximum(rows.max(axis=1), 0)
    best = np.full_like(low, np.inf)
    chosen, zeros = np.ones_like(low), np.zeros_like(low)
    for shrink in _SHRINKS:
        for scale, zero in _candidates(low * shrink, high * shrink, most, symmetric):
            scale = np.where(np.abs(scale) > 1e-30, scale, np.float32(1))
            rounded = np.clip(np.rint(rows / scale[:, None]) + zero[:, None], 0, most)
            error = rows - (rounded - zero[:, None]) * scale[:, None]
            cost = (error * error) @ weights
            better = cost < best
            best = np.where(better, cost, best)
            chosen, zeros = np.where(better, scale, chosen), np.where(better, zero, zeros)
    return chosen, zeros


def _candidates(low: Array32, high: Array32, most: int, symmetric: bool) -> list[tuple[Array32, Array32]]:
    if not symmetric:
        scale = (high - low) / np.float32(most)
        steps = np.divide(-low, scale, out=np.zeros_like(low), where=scale > 0)
        return [(scale, np.clip(np.rint(steps), 0, most))]
    # The integers reach one further down than up: the larger side takes that end, if need be by a negative scale.
    half = (most + 1) // 2
    middle = np.full(low.shape, half, np.float32)
    peak = np.where(-low > high, low, high)
    within: Array32 = (np.abs(peak) / (half - 1)).astype(np.float32)
    beyond: Array32 = (-peak / half).astype(np.float32)
    return [(within, middle), (beyond, middle)]


def _round(rows: Array32, scale: Array32, zero: NDArray[np.generic], bits: int) -> NDArray[np.uint8]:
    rounded: NDArray[np.uint8] = np.clip(np.rint(rows / scale) + zero, 0, 2**bits - 1).astype(np.uint8)
    return rounded
