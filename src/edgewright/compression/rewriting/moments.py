"""Second moments of what linear layers read: the metric in which errors of their weights count."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgewright.compression.contract import Context
from edgewright.core.errors import EngineError, Refused
from edgewright.core.model import Model
from edgewright.core.session import Arrays, EngineOptions
from edgewright.engines import open_session
from edgewright.graphs.taps import tap

_ENTRIES = 2**25  # of all matrices held at once: 256 MiB in float64
_BATCH = 16
_ROWS = 512


@dataclass(frozen=True)
class Moments:
    """``matrix``: the mean of x x^T over ``rows`` vectors x, shape (size, size)."""

    matrix: NDArray[np.float64]
    rows: int


def second_moments(model: Model, axes: Mapping[str, int], context: Context) -> dict[str, Moments]:
    """E[x x^T] over the calibration samples, for each named value's vectors along an axis.

    ``axes`` maps a value's name to the axis that holds the features. Matrices that do not fit in memory together are
    gathered in several readings; one that does not fit alone is left out. Raises Refused without samples.
    """
    samples = context.samples()
    found: dict[str, Moments] = {}
    waiting = dict(axes)
    while waiting:
        found |= _reading(model, waiting, samples.batches(_batch_size(model)), context)
        waiting = {name: axis for name, axis in waiting.items() if name not in found}
    return {name: held for name, held in found.items() if held.matrix.size}


def _batch_size(model: Model) -> int:
    fixed = [s.shape[0] for s in model.signature.inputs if s.shape and isinstance(s.shape[0], int)]
    return fixed[0] if fixed else _BATCH


def _reading(model: Model, axes: Mapping[str, int], batches: Iterable[Arrays], context: Context) -> dict[str, Moments]:
    """One reading of the samples: as many of the matrices as fit."""
    sums: dict[str, _Sum] = {}
    room = _ENTRIES
    inputs = {spec.name for spec in model.signature.inputs}
    wanted = [name for name in axes if name not in inputs]
    tapped = tap(model, wanted) if wanted else model
    try:
        with open_session(tapped, options=EngineOptions(graph_level="basic")) as session:
            for batch in batches:
                context.checkpoint()
                values = {**batch, **session.infer(batch)}
                for name, axis in axes.items():
                    rows = np.moveaxis(values[name], axis, -1)
                    if name not in sums:
                        size = rows.shape[-1] ** 2
                        if room < size <= _ENTRIES:
                            continue
                        sums[name] = _Sum(rows.shape[-1] if size <= _ENTRIES else 0)
                        room -= size if size <= _ENTRIES else 0
                    sums[name].add(rows.reshape(-1, rows.shape[-1]))
    except EngineError as error:
        raise Refused(f"onnxruntime cannot run the model on the samples: {str(error)[:200]}") from error
    found = {name: total.mean() for name, total in sums.items()}
    for name, held in found.items():
        if not np.isfinite(held.matrix).all():
            raise Refused(f"tensor {name!r} is not finite on the calibration samples; clean the data or the model")
    return found


class _Sum:
    """A running sum of x x^T. Rows are gathered before they are multiplied, as a large matrix is slow to touch."""

    def __init__(self, size: int) -> None:
        self._total = np.zeros((size, size))
        self._rows: list[NDArray[np.float32]] = []
        self._waiting = self._seen = 0

    def add(self, rows: NDArray[np.float32]) -> None:
        """Add rows of shape (n, size)."""
        if not self._total.size:
            return
        self._rows.append(rows)
        self._waiting += rows.shape[0]
        if self._waiting >= _ROWS:
            self._flush()

    def mean(self) -> Moments:
        """The mean so far."""
        self._flush()
        return Moments(self._total / max(self._seen, 1), self._seen)

    def _flush(self) -> None:
        if self._rows:
            rows = np.concatenate(self._rows).astype(np.float64)
            self._total += rows.T @ rows
            self._seen += rows.shape[0]
            self._rows, self._waiting = [], 0
