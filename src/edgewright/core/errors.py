"""Few error families, each saying what happened and what to do next.

The face (``cli``) turns them into one line on standard error and an exit status; the hub will turn them into
problem+json. Nothing below the face prints or exits.
"""

from __future__ import annotations


class EdgewrightError(Exception):
    """Base of every error raised on purpose. The message is one line a user can act upon."""

    exit_status = 1


class InputError(EdgewrightError):
    """What the caller gave cannot be used: a file, an option, a shape, a name. Exit status 2."""

    exit_status = 2


class MissingExtra(EdgewrightError):  # noqa: N818 - reads as what it says
    """A library that an optional part needs is not installed. Exit status 2."""

    exit_status = 2

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(f"{what} is not installed; install it with: pip install 'edgewright[{extra}]'")


class TrustError(EdgewrightError):
    """A signature, digest, key or archive did not verify. Nothing was used. Exit status 1."""


class EngineError(EdgewrightError):
    """An engine could not open or run a model. Exit status 1."""


class NeedsMemory(EngineError):  # noqa: N818 - reads as what it says
    """A run needs more memory than a run may take; one of fewer or smaller values may do with less."""


class NotAnswering(EngineError):  # noqa: N818 - reads as what it says
    """The engine's own process is being replaced, or was given up; ``retry_after_s`` (s) is None in the second case."""

    def __init__(self, message: str, retry_after_s: float | None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class UnfitInput(EngineError):  # noqa: N818 - reads as what it says
    """The model cannot run on these inputs, which only the engine found: a token it does not have, sizes that do not
    go together inside the graph. Exit status 2."""

    exit_status = 2


class StorageError(EdgewrightError):
    """The disk is full, read-only, or held by another run. What was complete before stays. Exit status 1."""


class DiskFull(StorageError):  # noqa: N818 - reads as what it says
    """The disk is full, or what may be used of it: the same goes on once there is room."""


class Unavailable(StorageError):  # noqa: N818 - reads as what it says
    """Held by another, or not answering: the same goes on in a moment."""


class Refused(EdgewrightError):  # noqa: N818 - reads as what it says
    """Raised inside a pass's ``rewrite`` to decline with a reason; the base turns it into a result."""
