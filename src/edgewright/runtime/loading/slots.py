"""Slots: what the loader knows of each place."""

from __future__ import annotations

from dataclasses import dataclass

from edgewright.core.errors import EdgewrightError
from edgewright.runtime.loading.places import Place
from edgewright.runtime.served import Served


@dataclass(eq=False)
class Slot:
    """One place and what became of it. ``good`` is the last version that passed its trial, ``served`` the one before
    the requests; ``began``: when its trial did, on the monotonic clock."""

    place: Place
    stamp: object = None
    served: Served | None = None
    good: Served | None = None
    began: float = 0.0
    wrong: EdgewrightError | None = None
    """Why the files that lie there were refused."""
    held: bool = False
    """Unloaded by request: only a request loads it again."""
    cold: bool = False
    """Unloaded to make room: whoever asks for it has it loaded again."""
    size_bytes: int = 0
    """What it held in memory when it was last open; 0 if it never was."""
