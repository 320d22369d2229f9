"""Slots: what the loader knows of each place."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edgewright.core.child import ChildLost
from edgewright.core.errors import EdgewrightError, InputError, StorageError
from edgewright.runtime.loading.places import Place
from edgewright.runtime.served import Served

INFINITY = float("inf")
_FIRST_S, _LONGEST_S = 2.0, 300.0


class Taken(InputError):  # noqa: N818 - reads as what it says
    """Other files, at ``path``, are served under the same name and version."""

    def __init__(self, path: Path, name: str, version: str) -> None:
        super().__init__(
            f"{path.name} is served as {name} {version} already; remove one of the two, or give it another version"
        )


@dataclass(eq=False)
class Slot:
    """One place and what became of it. ``good`` is the last version that passed its trial, ``served`` the one before
    the requests; ``began``: when its trial did, on the monotonic clock."""

    place: Place
    stamp: object = None
    served: Served | None = None
    good: Served | None = None
    began: float = 0.0
    held: bool = False
    """Unloaded by request: only a request loads it again."""
    cold: bool = False
    """Unloaded to make room: whoever asks for it has it loaded again."""
    wrong: EdgewrightError | None = None
    """Why the files that lie there are not served, None when they are."""
    again: float = INFINITY
    """When they are tried again by themselves, on the monotonic clock: what was wrong may have passed by then."""
    tries: int = 0
    size_bytes: int = 0
    """What it held in memory when it was last open; 0 if it never was."""
    sized: object = None
    """The stamp of the files that did."""
    why: str = ""
    """Why it is cold."""
    version: str = ""
    """The version that was served last, once it is not any more."""

    def refuse(self, error: EdgewrightError, now: float) -> None:
        """Remember why its files are not served, and when to try them again: soon, then ever later, where the reason
        was not theirs (a full disk, a child that was killed, a name that was taken), else never."""
        self.wrong, self.tries = error, self.tries + 1
        passing = isinstance(error, ChildLost | StorageError | Taken)
        self.again = now + min(_FIRST_S * 2.0 ** min(self.tries - 1, 60), _LONGEST_S) if passing else INFINITY

    def accept(self) -> None:
        """Its files are served."""
        self.wrong, self.again, self.tries = None, INFINITY, 0
