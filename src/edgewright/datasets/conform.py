"""Whether arrays fit a model's signature: names, shapes, dtypes; casts only where nothing is lost."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgewright.core.errors import InputError
from edgewright.core.model import Signature, TensorSpec
from edgewright.datasets.source import ArraySource


def arrays_for(
    source: ArraySource, signature: Signature, *, shapes: bool
) -> tuple[dict[str, NDArray[Any]], tuple[str, ...]]:
    """The arrays of the model's inputs, in its order, and notes. Raises InputError for what does not fit.

    ``shapes`` False leaves shapes and dtypes to a preprocessing that follows.
    """
    wanted = [spec.name for spec in signature.inputs]
    absent = [name for name in wanted if name not in source.arrays]
    if absent:
        raise InputError(
            f"{source.name} has no array named {absent[0]!r}: the model takes {', '.join(wanted)}; "
            f"the data holds {', '.join(sorted(source.arrays)) or 'nothing'}. Save it under the model's names"
        )
    notes: list[str] = []
    extra = sorted(set(source.arrays) - set(wanted))
    if extra:
        notes.append(f"arrays the model does not take were left out: {', '.join(extra)}")
    arrays = {name: source.arrays[name] for name in wanted}
    counts = {name: len(array) for name, array in arrays.items()}
    if len(set(counts.values())) > 1:
        said = ", ".join(f"{name} {count}" for name, count in counts.items())
        raise InputError(f"the arrays of {source.name} differ in their number of samples: {said}")
    if shapes:
        for spec in signature.inputs:
            array = arrays[spec.name]
            found = "str" if array.dtype.kind == "U" else array.dtype.name
            note = _castable(spec, array, found, source.name)
            notes += [note] if note else []
            check_shape(spec, array.shape[1:], spec.dtype, f"{spec.name!r} of {source.name}")
    return arrays, tuple(notes)


def check_shape(spec: TensorSpec, shape: tuple[int, ...], dtype: str, what: str) -> None:
    """Raise InputError unless samples of ``shape`` and ``dtype``, stacked on a first axis, fit ``spec``."""
    if dtype != spec.dtype:
        raise InputError(f"{what} gives {dtype}, but the model takes {spec}")
    if spec.shape == ():  # engines write an unknown rank so
        return
    sizes = spec.shape[1:]
    fits = len(sizes) == len(shape) and all(
        not isinstance(want, int) or want == have for want, have in zip(sizes, shape, strict=True)
    )
    if fits:
        return
    if len(spec.shape) == len(shape) and spec.shape == shape:
        raise InputError(f"the model's input {spec} has no batch axis; export it with a first axis for the batch")
    wanted = ", ".join("?" if d is None else str(d) for d in sizes)
    hint = ""
    if len(shape) == 3 and len(sizes) == 3 and (shape[2], shape[0], shape[1]) == sizes:
        hint = "; it looks like NHWC data for an NCHW model: transpose it to (0, 3, 1, 2)"
    elif len(shape) == 3 and len(sizes) == 3 and (shape[1], shape[2], shape[0]) == sizes:
        hint = "; it looks like NCHW data for an NHWC model: transpose it to (0, 2, 3, 1)"
    elif int(np.prod(shape)) == _product(sizes):
        hint = f"; reshape it to (n, {wanted})"
    raise InputError(f"{what} has samples of shape ({', '.join(map(str, shape))}), the model takes ({wanted}){hint}")


def _castable(spec: TensorSpec, array: NDArray[Any], found: str, name: str) -> str:
    """A note when a harmless cast is needed, "" when none is. Raises InputError for any other dtype."""
    if found == spec.dtype:
        return ""
    wide = found == "float64" and spec.dtype == "float32"
    try:
        same_kind = np.dtype(found).kind == np.dtype(spec.dtype).kind
        lossless = same_kind and np.can_cast(np.dtype(found), np.dtype(spec.dtype), "safe")
    except TypeError:  # bfloat16 and others numpy has no name for
        lossless = False
    if not (wide or lossless):
        hint = f"convert it with .astype({spec.dtype!r})"
        if found == "uint8" and spec.dtype.startswith("float"):
            hint = "declare a preprocessing for pixels, or scale and convert it as in training"
        raise InputError(f"{spec.name!r} of {name} is {found}, the model takes {spec.dtype}; {hint}")
    return f"{spec.name!r} was cast from {found} to {spec.dtype}"


def _product(sizes: tuple[Any, ...]) -> int:
    return int(np.prod([d for d in sizes if isinstance(d, int)])) if all(isinstance(d, int) for d in sizes) else -1
