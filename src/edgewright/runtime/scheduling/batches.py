"""Batches: requests of one model run as one, each caller getting exactly its own rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Arrays = Mapping[str, NDArray[Any]]
Key = tuple[Any, ...]


def key(inputs: Arrays) -> Key:
    """What must be equal for two requests to run as one: names, dtypes, and shapes but for the first axis."""
    return tuple((name, array.dtype.str, array.shape[1:]) for name, array in sorted(inputs.items()))


def rows(inputs: Arrays) -> int:
    """How many samples a request holds: the length of its arrays' first axis, which must be the same for all.

    0 for a request that cannot be part of a batch: a scalar, or arrays of different lengths.
    """
    counts = {array.shape[0] if array.ndim else 0 for array in inputs.values()}
    return counts.pop() if len(counts) == 1 else 0


def join(requests: Sequence[Arrays]) -> dict[str, NDArray[Any]]:
    """The requests' arrays, one after the other. All must have the same ``key``."""
    return {name: np.concatenate([request[name] for request in requests]) for name in requests[0]}


def part(outputs: Arrays, counts: Sequence[int], views: bool = False) -> list[dict[str, NDArray[Any]]]:
    """Each request's own rows of the outputs, in order: copies, or ``views``, which keep everybody's rows alive and
    hand them to whoever looks at their base.

    Raises ValueError when an output does not have the batch as its first axis: such a model must not be batched.
    """
    total = sum(counts)
    for name, array in outputs.items():
        if array.ndim == 0 or array.shape[0] != total:
            raise ValueError(f"output {name!r} has shape {list(array.shape)} for a batch of {total}")
    parts, start = [], 0
    for count in counts:
        mine = {name: array[start : start + count] for name, array in outputs.items()}
        parts.append(mine if views else {name: array.copy() for name, array in mine.items()})
        start += count
    return parts
