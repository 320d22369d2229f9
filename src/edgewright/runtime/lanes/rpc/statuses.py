"""Faults as gRPC tells them: a status, a sentence, and the fault's kind in the trailing metadata."""

from __future__ import annotations

from typing import Any, NoReturn

import grpc

from edgewright.core.errors import EdgewrightError, InputError, TrustError
from edgewright.runtime.faults import (
    BadRequest,
    Cancelled,
    Crowded,
    Expired,
    Fault,
    Forbidden,
    Infeasible,
    NotFound,
    NotReady,
    Overloaded,
    Unauthenticated,
    Unsupported,
)

KIND = "edgewright-fault"
"""The trailing metadata's key; in a stream, the reply's parameter."""
_MOST = 1000
"""Characters of the sentence: it may quote what was asked, and clients refuse heads of some KB."""


_STATUSES: dict[type[EdgewrightError], grpc.StatusCode] = {
    BadRequest: grpc.StatusCode.INVALID_ARGUMENT,
    Unauthenticated: grpc.StatusCode.UNAUTHENTICATED,
    Forbidden: grpc.StatusCode.PERMISSION_DENIED,
    NotFound: grpc.StatusCode.NOT_FOUND,
    NotReady: grpc.StatusCode.UNAVAILABLE,
    Crowded: grpc.StatusCode.RESOURCE_EXHAUSTED,
    Overloaded: grpc.StatusCode.UNAVAILABLE,
    Infeasible: grpc.StatusCode.DEADLINE_EXCEEDED,
    Expired: grpc.StatusCode.DEADLINE_EXCEEDED,
    Cancelled: grpc.StatusCode.CANCELLED,
    Unsupported: grpc.StatusCode.UNIMPLEMENTED,
    InputError: grpc.StatusCode.INVALID_ARGUMENT,
    TrustError: grpc.StatusCode.INVALID_ARGUMENT,
}


def status(error: EdgewrightError) -> grpc.StatusCode:
    """INTERNAL for what has no status of its own."""
    for kind in type(error).__mro__:
        found = _STATUSES.get(kind)
        if found is not None:
            return found
    return grpc.StatusCode.INTERNAL


def kind(error: EdgewrightError) -> str:
    """The name of the fault in metrics."""
    return error.kind if isinstance(error, Fault) else Fault.kind


def sentence(error: EdgewrightError) -> str:
    """What is told: where statuses coincide it begins with the fault's kind."""
    text = str(error)
    if isinstance(error, Infeasible | Expired | Overloaded):
        text = f"{error.kind}: {text}"
    return text if len(text) <= _MOST else f"{text[:_MOST]}..."


def abort(context: Any, error: EdgewrightError) -> NoReturn:
    """End the call with the error."""
    context.set_trailing_metadata(((KIND, kind(error)),))
    context.abort(status(error), sentence(error))
    raise AssertionError("unreachable: grpc raises in abort")
