"""What can become of a request, each with the status that every lane gives it."""

from __future__ import annotations

import json

from edgewright.core.errors import (
    EdgewrightError,
    EngineError,
    InputError,
    NeedsMemory,
    NotAnswering,
    TrustError,
    UnfitInput,
)
from edgewright.runtime import logs

_MOST = 1000
"""Characters of a sentence: it may quote what was asked."""


def fault_json(why: str) -> bytes:
    """What tells an error, as the protocol has it."""
    return json.dumps({"error": why if len(why) <= _MOST else f"{why[:_MOST]}..."}).encode()


class Fault(EdgewrightError):  # noqa: N818 - reads as what it says
    """Base. ``status`` is HTTP's; ``kind`` names the fault in metrics; ``retry_s``: when it is worth asking again (0:
    unknown); ``counted``: a model's statistics have it."""

    status, kind, retry_s, counted = 500, "failed", 0, False


class BadRequest(Fault):
    """The request cannot be understood or does not fit the model."""

    status, kind = 400, "bad_request"


class TooLarge(BadRequest):
    """A run of it would take more memory than it may."""

    status = 413


class Unauthenticated(Fault):
    """A token is needed, or another one: this one is not known."""

    status, kind = 401, "unauthenticated"


class Forbidden(Fault):
    """The token's roles do not allow it."""

    status, kind = 403, "forbidden"


class NotFound(Fault):
    """No model of that name or version is served here."""

    status, kind = 404, "not_found"


class Unsupported(Fault):
    """The protocol knows it, this server does not do it."""

    status, kind = 501, "unsupported"


class NotReady(Fault):
    """The model is known but cannot answer: it is loading, was unloaded, or failed to load."""

    status, kind, retry_s = 503, "not_ready", 1


class Gone(NotReady):
    """This version was replaced between finding and asking it: find the model again."""


class Overloaded(Fault):
    """The line is full."""

    status, kind, retry_s = 503, "overloaded", 1


class Crowded(Overloaded):
    """No room for another client, another stream, or so large a message."""


class Infeasible(Fault):
    """It could not be done by its deadline, and so was not begun. ``alone``: not even with nobody before it.
    ``unsure``: that is reckoned from slower times: were this run as long as the latest of its model, or nothing kept
    free before deadlines, it would be done in time."""

    status, kind = 503, "infeasible"

    def __init__(self, why: str, alone: bool = False, unsure: bool = False) -> None:
        super().__init__(why)
        self.alone, self.unsure = alone, unsure


class Expired(Fault):
    """Its deadline passed while it waited."""

    status, kind, alone, unsure = 504, "expired", False, False


class Cancelled(Fault):
    """Nobody waits for the answer any more."""

    status, kind = 499, "cancelled"

    def __init__(self, text: str = "nobody waits for the answer any more") -> None:
        super().__init__(text)


def status_of(error: EdgewrightError) -> int:
    """HTTP's status for it: a fault's own, else 400 for what was given and 500 for what is ours."""
    return error.status if isinstance(error, Fault) else 400 if isinstance(error, InputError | TrustError) else 500


def run_fault(error: EngineError) -> Fault:
    """What a run that failed is to whoever asked for it."""
    if isinstance(error, NeedsMemory):
        return TooLarge(f"{error}; ask for fewer rows, or raise run_mb")
    kind = {NotAnswering: NotReady, UnfitInput: BadRequest}.get(type(error), Fault)
    return kind(str(error))


def fault_of(error: Exception | None) -> Fault:
    """What a client is told of an error; one that nobody thought of is told in the log."""
    if isinstance(error, Fault):
        return error
    if isinstance(error, EdgewrightError):
        return Fault(str(error))
    try:
        raise error or AssertionError
    except Exception:  # noqa: BLE001 - for the log
        logs.trouble("a request could not be answered")
    return Fault("the server has a fault; its log says which")
