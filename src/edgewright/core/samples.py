"""Samples: what passes and measurements read of a dataset's split."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

from numpy.typing import NDArray

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
