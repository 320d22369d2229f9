"""What can be wrong with what is asked of the hub. ``web.problems`` turns each into its answer; nothing here knows
HTTP."""

from __future__ import annotations

from edgewright.core.errors import EdgewrightError


class Absent(EdgewrightError):  # noqa: N818 - reads as what it says
    """There is no such thing, or none that this tenant may know of: the two are told in the same words."""


class Conflict(EdgewrightError):  # noqa: N818 - reads as what it says
    """The thing is in a state that does not allow this, or its name is taken."""


class Forbidden(EdgewrightError):  # noqa: N818 - reads as what it says
    """The caller is known and may not do this."""


class Unknown(EdgewrightError):  # noqa: N818 - reads as what it says
    """No credential, or one that does not hold."""


class Spent(EdgewrightError):  # noqa: N818 - reads as what it says
    """The tenant has as much as its plan allows."""


class TooMany(EdgewrightError):  # noqa: N818 - reads as what it says
    """Too many requests; ``retry_after_s`` (s) says when the next one is let in."""

    def __init__(self, message: str, retry_after_s: float) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class Unscoped(EdgewrightError):  # noqa: N818 - reads as what it says
    """A statement that is not bound to one tenant. A fault of the program: it never ran."""
