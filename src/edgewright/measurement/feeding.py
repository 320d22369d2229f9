"""Feeding a session: as many samples at a time as it takes, and never at the price of its answers.

A model with a free batch is not always free of it. Dynamic quantization takes one scale for the whole batch, and a
reshape to a constant mixes samples up; fed many at a time such a model would be judged for answers it never gives on
the device. So the first samples are answered both ways, and one by one it is when the two differ.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgewright.core.errors import EngineError, InputError
from edgewright.core.model import Signature
from edgewright.core.samples import Samples
from edgewright.core.session import Arrays, Session

_PROBES = 4
_BATCH_BYTES = 16 * 2**20
_SAME_DB = 70.0  # float reordering stays above 100 dB, a shared dynamic scale falls below 50


class Feed:
    """Runs samples through a session. ``batch`` says how many at a time, ``notes`` why when it is not as asked."""

    def __init__(self, session: Session, batch_size: int) -> None:
        if batch_size < 1:
            raise InputError(f"the batch size must be at least 1, got {batch_size}")
        fixed = {spec.shape[0] for spec in session.signature.inputs if spec.shape and isinstance(spec.shape[0], int)}
        self._session = session
        self._fixed = max((size for size in fixed if isinstance(size, int)), default=None)
        self.batch = self._fixed or min(batch_size, _affordable(session.signature))
        self.notes: list[str] = []

    def run(self, samples: Samples) -> Iterator[dict[str, NDArray[Any]]]:
        """Outputs by name, each (b, ...), batch after batch in the order of the samples."""
        for number, inputs in enumerate(samples.batches(self.batch)):
            size = len(next(iter(inputs.values())))
            if number == 0 and self._fixed is None and size > 1:
                yield self._first(inputs, size)
            elif self._fixed is None and (self.batch == 1 or size == 1):
                yield self._singly(inputs, size)
            else:
                yield self._together(inputs, size)

    def _first(self, inputs: Arrays, size: int) -> dict[str, NDArray[Any]]:
        some = min(size, _PROBES)
        alone = self._singly({name: array[:some] for name, array in inputs.items()}, some)
        try:
            together = self._together(inputs, size)
        except EngineError:
            return self._give_up("it does not run with more than one sample at a time", inputs, size)
        for name, one in alone.items():
            other = together[name]
            if other.ndim == 0 or len(other) != size or not _same(one, other[:some]):
                return self._give_up(f"its output {name!r} depends on the other samples of a batch", inputs, size)
        return together

    def _give_up(self, why: str, inputs: Arrays, size: int) -> dict[str, NDArray[Any]]:
        self.batch = 1
        self.notes.append(f"fed one sample at a time: {why}")
        return self._singly(inputs, size)

    def _singly(self, inputs: Arrays, size: int) -> dict[str, NDArray[Any]]:
        rows = [self._session.infer({name: array[i : i + 1] for name, array in inputs.items()}) for i in range(size)]
        made: dict[str, NDArray[Any]] = {}
        for name, first in rows[0].items():
            # A model of one sample may answer without the batch axis.
            parts = [row[name] if first.ndim and len(first) == 1 else row[name][None] for row in rows]
            if any(part.shape != parts[0].shape for part in parts):
                raise InputError(f"output {name!r} changes its shape from sample to sample; export it with a fixed one")
            made[name] = np.concatenate(parts)
        return made

    def _together(self, inputs: Arrays, size: int) -> dict[str, NDArray[Any]]:
        if self._fixed == 1:
            return self._singly(inputs, size)
        short = (self._fixed or size) - size
        if short:  # the last batch of a model whose batch is fixed: repeat a sample, drop its answers
            inputs = {name: np.concatenate([a, np.repeat(a[-1:], short, axis=0)]) for name, a in inputs.items()}
        outputs = self._session.infer(inputs)
        if self._fixed is not None and any(a.ndim == 0 or len(a) != self._fixed for a in outputs.values()):
            bad = next(name for name, a in outputs.items() if a.ndim == 0 or len(a) != self._fixed)
            raise InputError(f"output {bad!r} does not have the batch of {self._fixed} as its first axis")
        return {name: array[:size] if array.ndim else array for name, array in outputs.items()}


def _affordable(signature: Signature) -> int:
    """Samples whose inputs fill a bounded number of bytes: activations are many times as large."""
    known = [[d for d in spec.shape[1:] if isinstance(d, int) and d > 0] for spec in signature.inputs]
    return max(_BATCH_BYTES // max(4 * sum(map(math.prod, known)), 1), 1)


def _same(one: NDArray[Any], other: NDArray[Any]) -> bool:
    if one.shape != other.shape:
        return False
    if one.dtype.kind != "f":
        return bool((one == other).all())
    finite = np.isfinite(one)
    if not (finite == np.isfinite(other)).all():
        return False
    x, y = one[finite].astype(np.float64), other[finite].astype(np.float64)
    error = float(np.sum((x - y) ** 2))
    return error == 0 or 10 * np.log10(max(float(x @ x), 1e-30) / error) > _SAME_DB
