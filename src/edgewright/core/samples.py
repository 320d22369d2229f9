"""Samples: what passes and measurements read of a dataset's split; and noise where there is none."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from edgewright.core.errors import InputError
from edgewright.core.model import Signature
from edgewright.core.session import Arrays


class Samples(Protocol):
    """A finite, ordered set of samples that can be read again and again, without holding all of them in memory.

    ``name`` says which split it is; ``digest`` names the content, the declared preprocessing and the choice of rows;
    ``labels`` has shape (n,) or (n, k), or is None.
    """

    name: str
    digest: str
    labels: NDArray[Any] | None

    def __len__(self) -> int: ...

    def batches(self, size: int) -> Iterator[Arrays]:
        """Inputs by name, each of shape (at most ``size``, ...), in order."""
        ...


def drawn_requests(signature: Signature, count: int = 8, seed: int = 0) -> list[Arrays]:
    """Seeded noise in the model's shapes, for a model measured without data; dynamic sizes become 1.

    Standard normal floats, integers from 0 to 3. Speed may depend on values (denormals, sparse kernels, index ranges):
    use real data where there is some. Raises InputError for string inputs.
    """
    return list(islice(_draw(signature, seed), count))


def _draw(signature: Signature, seed: int) -> Iterator[Arrays]:
    rng = np.random.default_rng(seed)
    while True:
        drawn = {}
        for spec in signature.inputs:
            shape = tuple(size if isinstance(size, int) else 1 for size in spec.shape)
            if spec.dtype == "str":
                raise InputError(f"input {spec.name!r} takes strings, which cannot be drawn; pass data")
            if spec.dtype == "bool":
                drawn[spec.name] = rng.random(shape) < 0.5
            elif np.dtype(spec.dtype).kind == "f":
                drawn[spec.name] = rng.standard_normal(shape).astype(spec.dtype)
            else:
                drawn[spec.name] = rng.integers(0, 4, shape).astype(spec.dtype)
        yield drawn
