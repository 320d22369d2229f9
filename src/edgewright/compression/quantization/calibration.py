"""Calibration: the range of every tensor, from samples read in a stream.

Two readings: the first finds extremes and per-channel means, the second fills histograms of a fixed number of bins.
What is kept per tensor does not grow with the number of samples.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from edgewright.compression.contract import Context
from edgewright.compression.quantization.scheme import Activations, affine
from edgewright.core.errors import Refused
from edgewright.core.model import Model
from edgewright.core.samples import Samples
from edgewright.core.session import Arrays, EngineOptions, Session
from edgewright.engines import open_session
from edgewright.graphs.taps import tap

Method = Literal["minmax", "percentile", "entropy", "mse"]

BINS = 2048
_KEPT_SHARE = 0.9999
_BATCH_BYTES = 64 * 2**20


@dataclass
class Observed:
    """One tensor's extremes, histogram over [low, high] of ``BINS`` bins, and mean per channel (``axis`` 1 or last)."""

    low: float = np.inf
    high: float = -np.inf
    counts: NDArray[np.int64] | None = None
    total: NDArray[np.float64] | None = None
    seen: int = 0

    @property
    def centres(self) -> NDArray[np.floating[Any]]:
        """The middle of each bin."""
        step = (self.high - self.low) / BINS
        return self.low + step * (np.arange(BINS) + 0.5)

    @property
    def mean(self) -> NDArray[np.float64] | None:
        """Mean per channel, shape (channels,), if one was kept."""
        return None if self.total is None or not self.seen else self.total / self.seen


def observe(model: Model, tensors: Mapping[str, int | None], context: Context) -> dict[str, Observed]:
    """Statistics of the named tensors over the calibration samples.

    ``tensors`` maps a name to the axis to keep means along, or None. Raises Refused where a tensor is not finite.
    """
    samples = context.samples()
    found = {name: Observed() for name in tensors}
    inputs = {spec.name for spec in model.signature.inputs}
    inside = [name for name in tensors if name not in inputs]
    # A graph must answer something; where only inputs are looked at, its own outputs do.
    tapped = tap(model, inside) if inside else model
    with open_session(tapped, options=EngineOptions(graph_level="basic")) as session:
        size = batch_size(session, model, samples)
        for values in _readings(session, samples, size, context):
            for name, axis in tensors.items():
                _extremes(found[name], name, values[name], axis)
        for values in _readings(session, samples, size, context):
            for name in tensors:
                _fill(found[name], values[name])
    return found


def batch_size(session: Session, model: Model, samples: Samples) -> int:
    """The model's own batch if it is fixed, else as many samples as keep the tapped tensors within 64 MiB."""
    first = [spec.shape[0] if spec.shape else 1 for spec in model.signature.inputs]
    fixed = [d for d in first if isinstance(d, int)]
    if fixed:
        return fixed[0]
    one = session.infer(next(iter(samples.batches(1))))
    total = sum(np.asarray(v).nbytes for v in one.values())
    return int(np.clip(_BATCH_BYTES // max(total, 1), 1, 64))


def _readings(session: Session, samples: Samples, size: int, context: Context) -> Iterator[Arrays]:
    for batch in samples.batches(size):
        context.checkpoint()
        if len(next(iter(batch.values()))) != size and not _dynamic(session):
            continue
        yield {**batch, **session.infer(batch)}


def _dynamic(session: Session) -> bool:
    return all(not spec.shape or not isinstance(spec.shape[0], int) for spec in session.signature.inputs)


def _extremes(into: Observed, name: str, values: NDArray[Any], axis: int | None) -> None:
    if values.size == 0:
        return
    low, high = float(values.min()), float(values.max())
    if not (np.isfinite(low) and np.isfinite(high)):
        raise Refused(f"tensor {name!r} is not finite on the calibration samples; clean the data or the model")
    into.low, into.high = min(into.low, low), max(into.high, high)
    if axis is not None and values.ndim >= 2:
        channels = np.moveaxis(values, axis, -1).reshape(-1, values.shape[axis])
        sums = channels.sum(axis=0, dtype=np.float64)
        into.total = sums if into.total is None else into.total + sums
        into.seen += channels.shape[0]


def _fill(into: Observed, values: NDArray[Any]) -> None:
    if into.high <= into.low:
        into.counts = np.zeros(BINS, np.int64)
        return
    scale = BINS / (into.high - into.low)
    bins = ((values.ravel() - np.float32(into.low)) * np.float32(scale)).astype(np.int32)
    counts = np.bincount(np.clip(bins, 0, BINS - 1), minlength=BINS)
    into.counts = counts if into.counts is None else into.counts + counts


def choose_range(seen: Observed, method: Method, activations: Activations) -> tuple[float, float]:
    """The clipping range the method picks from what was observed."""
    if seen.counts is None or seen.high <= seen.low or method == "minmax":
        return (min(seen.low, seen.high), seen.high) if np.isfinite(seen.high) else (0.0, 0.0)
    chosen = {"percentile": _percentile, "entropy": _entropy, "mse": _mse}[method]
    return chosen(seen, activations)


def _percentile(seen: Observed, activations: Activations) -> tuple[float, float]:
    assert seen.counts is not None  # noqa: S101 - choose_range has looked
    share = np.cumsum(seen.counts) / seen.counts.sum()
    tail = (1 - _KEPT_SHARE) / 2
    step = (seen.high - seen.low) / BINS
    low = seen.low + step * int(np.searchsorted(share, tail))
    high = seen.low + step * (int(np.searchsorted(share, 1 - tail)) + 1)
    # A non-negative tensor keeps its zero: cutting the bottom of a Relu's output would cost its most common value.
    return (seen.low if seen.low >= 0 else low), high


def _mse(seen: Observed, activations: Activations) -> tuple[float, float]:
    """Least expected squared error, each end searched in turn over 64 shrinkages."""
    assert seen.counts is not None  # noqa: S101 - choose_range has looked
    centres, weights = seen.centres, seen.counts.astype(np.float64)

    def cost(low: float, high: float) -> float:
        return float(np.sum(weights * (centres - affine(low, high, activations).round_trip(centres)) ** 2))

    low, high = seen.low, seen.high
    for _ in range(2):
        high = min((seen.high * s for s in np.linspace(1.0, 0.2, 64)), key=lambda h: cost(low, h))
        if seen.low < 0:
            low = min((seen.low * s for s in np.linspace(1.0, 0.2, 64)), key=lambda v: cost(v, high))
    return low, high


def _entropy(seen: Observed, activations: Activations) -> tuple[float, float]:
    """Least Kullback-Leibler divergence of |x| (Migacz, "8-bit inference with TensorRT", GTC 2017)."""
    assert seen.counts is not None  # noqa: S101 - choose_range has looked
    peak = max(abs(seen.low), abs(seen.high))
    levels = 255 if seen.low >= 0 else 128
    folded = np.histogram(np.abs(seen.centres), bins=BINS, range=(0, peak), weights=seen.counts)[0]
    best, threshold = np.inf, peak
    for stop in range(levels, BINS + 1, 16):
        reference = folded[:stop].astype(np.float64)
        reference[-1] += folded[stop:].sum()
        edges = np.linspace(0, stop, levels + 1).astype(int)
        sums = np.add.reduceat(folded[:stop], edges[:-1])
        filled = np.add.reduceat((folded[:stop] > 0).astype(np.float64), edges[:-1])
        level = np.divide(sums, filled, out=np.zeros_like(filled), where=filled > 0)
        guess = np.repeat(level, np.diff(edges)) * (folded[:stop] > 0)
        divergence = _divergence(reference, guess)
        if divergence < best:
            best, threshold = divergence, peak * stop / BINS
    return max(seen.low, -threshold), min(seen.high, threshold)


def _divergence(reference: NDArray[Any], guess: NDArray[Any]) -> float:
    if guess.sum() == 0:
        return float("inf")
    p, q = reference / reference.sum(), guess / guess.sum()
    both = (p > 0) & (q > 0)
    # Mass where the guess has none counts with a floor instead of infinity, as empty bins are sampling noise.
    lost = float(p[(p > 0) & (q == 0)].sum())
    return float(np.sum(p[both] * np.log(p[both] / q[both]))) + lost * 20.0
