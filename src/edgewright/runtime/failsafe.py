"""Fail-safe outputs: what a safety-relevant model answers when it could not answer in time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgewright.core.errors import InputError
from edgewright.core.model import TensorSpec
from edgewright.core.session import Session
from edgewright.runtime.scheduling.batches import rows

Arrays = Mapping[str, NDArray[Any]]


class Safe(dict[str, NDArray[Any]]):
    """Outputs that were declared, not computed. Lanes say so in the reply (``fail_safe``)."""


class FailSafe:
    """A model's declared outputs: ``told`` holds nested lists by output name, all of them.

    Where an output's first size is open, one row may be declared: it is given for each row of the request. Raises
    InputError when an output is missing, not the model's, or does not fit its dtype and shape.
    """

    def __init__(self, told: Mapping[str, Any], session: Session) -> None:
        specs = {spec.name: spec for spec in session.signature.outputs}
        if told.keys() != specs.keys():
            raise InputError(f"fail_safe must declare the model's outputs: {', '.join(specs)}")
        self._arrays = {name: _array(told[name], spec) for name, spec in specs.items()}
        self._open = {n for n, s in specs.items() if s.shape and not isinstance(s.shape[0], int)}

    def outputs(self, inputs: Arrays) -> Safe:
        """As many rows as ``inputs`` have."""
        count = rows(inputs) if all(isinstance(array, np.ndarray) for array in inputs.values()) else 0
        return Safe(
            (
                name,
                np.repeat(array, count, axis=0) if name in self._open and len(array) == 1 and count else array.copy(),
            )
            for name, array in self._arrays.items()
        )


_KINDS = {"f": "fi", "i": "i", "u": "i", "b": "b", "O": "U"}
"""What kinds of numbers a tensor's kind may be declared with: nothing is rounded or read from text."""


def _array(told: Any, spec: TensorSpec) -> NDArray[Any]:
    dtype = np.dtype({"str": "O", "object": "O", "bfloat16": "float32"}.get(spec.dtype, spec.dtype))
    try:
        found = np.array(told)
        array = found.astype(dtype)
        if found.dtype.kind not in _KINDS[dtype.kind] or (dtype.kind in "iu" and (array != found).any()):
            raise InputError(f"fail_safe output {spec.name!r} holds what is no {spec.dtype}")
    except (ValueError, TypeError, OverflowError) as error:
        raise InputError(f"fail_safe output {spec.name!r} is no {spec.dtype} array: {error}") from error
    if spec.shape and array.ndim == len(spec.shape) - 1 and not isinstance(spec.shape[0], int):
        array = array[None]
    fits = array.ndim == len(spec.shape) and all(
        not isinstance(size, int) or size == found for size, found in zip(spec.shape, array.shape, strict=True)
    )
    if not fits:
        raise InputError(f"fail_safe output {spec.name!r} has shape {list(array.shape)}, the model's is {spec}")
    return array
