"""Lane: a way in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from edgewright.runtime.addresses import Address


class Lane(Protocol):
    """Listens since it was made. Called on the loop's thread."""

    @property
    def addresses(self) -> Sequence[Address]:
        """Where it really listens."""
        ...

    @property
    def busy(self) -> bool:
        """Whether answers are owed, once ``drain`` was called."""
        ...

    def start(self) -> None:
        """Take requests."""
        ...

    def sweep(self) -> None:
        """Hang up on clients that keep others waiting; called every second."""
        ...

    def drain(self, grace_s: float) -> None:
        """Take no more, end what is not answered after so many seconds; returns at once."""
        ...

    def close(self) -> None:
        """End everything. May be called twice, and without ``start``."""
        ...
