"""Labels in one spelling: whole numbers (n, ...) int64, class indices with their names among them, or float64."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgewright.core.errors import InputError


def settle(labels: Any, classes: tuple[str, ...], name: str) -> tuple[NDArray[Any], tuple[str, ...], tuple[str, ...]]:
    """Labels, class names and notes. Text becomes indices into its sorted values; one-hot rows become indices.

    Raises InputError for NaN, for an index without a name, and for what is neither numbers nor text.
    """
    found = np.asarray(labels)
    notes: tuple[str, ...] = ()
    if found.dtype.kind == "O" and all(isinstance(v, str) for v in found.flat):
        found = found.astype(str)
    if found.ndim == 0 or found.dtype.kind not in "biufU":
        raise InputError(f"the labels of {name} must be numbers or text with one entry a sample, got {found.dtype}")
    if found.ndim == 2 and found.shape[1] == 1:
        found = found[:, 0]
    if found.dtype.kind == "U":
        return _text(found, classes, name)
    if found.dtype.kind == "f" and not np.isfinite(found).all():
        row = int(np.argwhere(~np.isfinite(found))[0][0])
        raise InputError(f"the labels of {name} have NaN or infinity, first in row {row}; remove those samples")
    if _one_hot(found):
        found = found.argmax(axis=1)
        notes = (f"one-hot labels of width {np.asarray(labels).shape[1]} were read as class indices",)
    counts = found.dtype.kind != "f" or (np.abs(found).max(initial=0) < 2**53 and bool((found == np.rint(found)).all()))
    settled = found.astype(np.int64 if counts else np.float64)
    if (
        classes
        and settled.dtype.kind == "i"
        and settled.size
        and not 0 <= settled.min() <= settled.max() < len(classes)
    ):
        raise InputError(f"the labels of {name} go to {settled.max()}, but there are {len(classes)} class names")
    return settled, classes, notes


def _text(
    found: NDArray[Any], classes: tuple[str, ...], name: str
) -> tuple[NDArray[Any], tuple[str, ...], tuple[str, ...]]:
    if found.ndim != 1:
        raise InputError(f"the labels of {name} are text of shape {list(found.shape)}; give one a sample")
    if not classes:
        values, codes = np.unique(found, return_inverse=True)
        return codes.astype(np.int64).ravel(), tuple(str(v) for v in values), ()
    index = {value: i for i, value in enumerate(classes)}
    unknown = sorted(set(found.tolist()) - set(classes))
    if unknown:
        raise InputError(f"the label {unknown[0]!r} of {name} is not among the class names given")
    return np.array([index[v] for v in found.tolist()], np.int64), classes, ()


def _one_hot(found: NDArray[Any]) -> bool:
    if found.ndim != 2 or found.shape[1] < 2 or not found.size:
        return False
    return bool(((found == 0) | (found == 1)).all() and (found.sum(axis=1) == 1).all())
