"""What can become of a request, each with the status that every lane gives it."""

from __future__ import annotations

from edgewright.core.errors import EdgewrightError, InputError, TrustError


class Fault(EdgewrightError):  # noqa: N818 - reads as what it says
    """Base. ``status`` is HTTP's; ``kind`` names the fault in metrics; ``retry_s``: when it is worth asking again (0:
    unknown); ``counted``: a model's statistics have it."""

    status = 500
    kind = "failed"
    retry_s = 0
    counted = False


class BadRequest(Fault):
    """The request cannot be understood or does not fit the model."""

    status = 400
    kind = "bad_request"


class Unsupported(Fault):
    """The protocol knows it, this server does not do it."""

    status = 501
    kind = "unsupported"


class NotFound(Fault):
    """No model of that name or version is served here."""

    status = 404
    kind = "not_found"


class NotReady(Fault):
    """The model is known but cannot answer: it is loading, was unloaded, or failed to load."""

    status = 503
    kind = "not_ready"
    retry_s = 1


class Gone(NotReady):
    """This version was replaced between finding and asking it: find the model again."""


class Overloaded(Fault):
    """The line is full."""

    status = 503
    kind = "overloaded"
    retry_s = 1


class Infeasible(Fault):
    """It could not be done by its deadline, and so was not begun. ``alone``: not even with nobody before it."""

    status = 503
    kind = "infeasible"

    def __init__(self, why: str, alone: bool = False) -> None:
        super().__init__(why)
        self.alone = alone


class Expired(Fault):
    """Its deadline passed while it waited."""

    status = 504
    kind = "expired"
    alone = False


class Cancelled(Fault):
    """Nobody waits for the answer any more."""

    status = 499
    kind = "cancelled"


def status_of(error: EdgewrightError) -> int:
    """HTTP's status for it: a fault's own, else 400 for what was given and 500 for what is ours."""
    return error.status if isinstance(error, Fault) else 400 if isinstance(error, InputError | TrustError) else 500
