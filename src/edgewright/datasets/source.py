"""Where samples come from: arrays by name, or image files; both read by row, again and again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgewright.core.errors import InputError

NUMBERS = "biuf"
TEXT = "U"


@dataclass(frozen=True, eq=False)
class ArraySource:
    """Arrays by name, each of shape (n, ...), in memory or mapped from a file. ``name`` is for messages."""

    name: str
    arrays: Mapping[str, NDArray[Any]]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class ImageSource:
    """Image files in order, and their labels: the index of each one's folder in ``classes``, None without folders."""

    name: str
    paths: tuple[Path, ...]
    labels: NDArray[np.int64] | None
    classes: tuple[str, ...] = ()
    notes: tuple[str, ...] = field(default=())


Source = ArraySource | ImageSource


def as_arrays(name: str, values: Mapping[str, Any]) -> ArraySource:
    """A mapping from Python as a source. Raises InputError for what is no array of numbers or text."""
    arrays: dict[str, NDArray[Any]] = {}
    for key, value in values.items():
        if not isinstance(key, str):
            raise InputError(f"{name} has the key {key!r}; keys are the names of the model's inputs")
        try:
            array = np.asarray(value)
        except (ValueError, TypeError, RuntimeError) as error:
            raise InputError(f"{key!r} of {name} is not one array: {error}"[:300]) from error
        if array.dtype.kind == "O" and array.size and all(isinstance(v, str) for v in array.flat):
            array = array.astype(str)
        arrays[key] = check_kind(array, key, name)
    return ArraySource(name, arrays)


def check_kind(array: NDArray[Any], key: str, name: str) -> NDArray[Any]:
    """``array`` when it holds numbers or text and has a first axis of samples; InputError otherwise."""
    if array.dtype.kind not in NUMBERS + TEXT:
        raise InputError(f"{key!r} of {name} has dtype {array.dtype}; only numbers, booleans and text can be used")
    if array.ndim == 0:
        raise InputError(f"{key!r} of {name} is a single value; its first axis must count the samples")
    return array
