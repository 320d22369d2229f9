"""Independence: whether a model answers each row by itself, whoever else is in the batch.

A sum over all axes, a norm over the batch, a scale found for the whole tensor (dynamic quantization): such models have
an open first size and one row out for each row in, and still mix their callers' data.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgewright.core.errors import EngineError, InputError
from edgewright.core.samples import drawn_requests
from edgewright.core.session import Arrays, Session
from edgewright.runtime.scheduling.batches import join, part, rows

_APART = 1e-3
"""Of an output's largest magnitude: a hundred times what another order of float32 sums makes, and less than what a
shared scale of eight bits does."""


def mixes_rows(session: Session) -> str:
    """Why requests must not be batched, found by asking two alone and together; "" when nothing speaks against it.

    A model that cannot be tried with numbers that are made up is not tried.
    """
    with suppress(InputError, EngineError):
        one, other = drawn_requests(session.signature, 2, seed=1)
        return _compared(session, (one, {name: _moved(array) for name, array in other.items()}))
    return ""


def _compared(session: Session, calls: Sequence[Arrays]) -> str:
    alone = [session.infer(call) for call in calls]
    counts = [rows(call) for call in calls]
    if 0 in counts:
        return ""
    try:
        together = part(session.infer(join(calls)), counts)
    except EngineError as error:
        return f"it does not answer two rows at once: {error}"
    except ValueError as error:
        return f"its outputs are not one row a sample: {error}"
    for mine, shared in zip(alone, together, strict=True):
        for name, array in mine.items():
            if not _same(array, shared[name]):
                return f"a row of its output {name!r} depends on who else is in the batch"
    return ""


def _same(a: NDArray[Any], b: NDArray[Any]) -> bool:
    if a.shape != b.shape:
        return False
    if a.dtype.kind != "f":
        return bool(np.all(a == b))
    x, y = a.astype(np.float64), b.astype(np.float64)
    finite = np.isfinite(x)
    scale = float(np.abs(x[finite]).max()) if finite.any() else 0.0
    return np.array_equal(finite, np.isfinite(y)) and bool(np.all(np.abs(x - y)[finite] <= _APART * scale))


def _moved(array: NDArray[Any]) -> NDArray[Any]:
    """The second caller's numbers are larger: what mixes them shows."""
    return array * array.dtype.type(3) if array.dtype.kind == "f" else array
