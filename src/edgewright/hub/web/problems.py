"""Errors as problem+json (RFC 9457). ``type`` is a URN of ours; ``instance`` is the request's id, which the log has
too."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, InterfaceError, OperationalError, TimeoutError
from starlette.exceptions import HTTPException

from edgewright.core.digests import canonical_json
from edgewright.core.errors import DiskFull, EdgewrightError, InputError, StorageError, TrustError
from edgewright.core.files import reason
from edgewright.hub.database.faults import no_room, told
from edgewright.hub.errors import Absent, Conflict, Forbidden, Spent, TooMany, Unknown

MEDIA = "application/problem+json"
KINDS: Mapping[str, tuple[int, str]] = {
    "bad-request": (400, "The request cannot be read"),
    "unknown-caller": (401, "A credential is needed"),
    "limit-reached": (402, "The plan allows no more"),
    "forbidden": (403, "Not allowed"),
    "password-change-needed": (403, "The one-time password has to be replaced first"),
    "not-found": (404, "There is no such thing"),
    "method-not-allowed": (405, "Not this method"),
    "conflict": (409, "Not in this state"),
    "too-large": (413, "The body is too large"),
    "unsupported-type": (415, "Not this media type"),
    "unfit": (422, "The request does not fit"),
    "too-many-requests": (429, "Too many requests"),
    "failed": (500, "The hub failed"),
    "unavailable": (503, "Not now"),
}
_BY_STATUS = {status: kind for kind, (status, _) in reversed(list(KINDS.items()))}
_FAMILIES: tuple[tuple[type[EdgewrightError], str], ...] = (
    (Absent, "not-found"), (Conflict, "conflict"), (Forbidden, "forbidden"), (Unknown, "unknown-caller"),
    (Spent, "limit-reached"), (TooMany, "too-many-requests"), (InputError, "unfit"),
    (TrustError, "unfit"), (StorageError, "unavailable"),
)  # fmt: skip
_LOG = logging.getLogger("edgewright.hub")


class Problem(HTTPException):
    """An answer that is no success: a ``kind`` of KINDS, what happened, and what else belongs to it."""

    def __init__(self, kind: str, detail: str, headers: Mapping[str, str] | None = None, **more: Any) -> None:
        super().__init__(KINDS[kind][0], detail, dict(headers or {}))
        self.kind, self.more = kind, more


def problem_body(kind: str, detail: str, request_id: str, **more: Any) -> bytes:
    """The bytes of a problem."""
    status, title = KINDS[kind]
    told = {"type": f"urn:edgewright:problem:{kind}", "title": title, "status": status, "detail": detail}
    return canonical_json(told | {"instance": f"urn:edgewright:request:{request_id}"} | more)


def answer(request: Request, kind: str, detail: str, headers: Mapping[str, str] | None = None, **more: Any) -> Response:
    """A problem as a response, with the headers that all answers of its route have (``request.state.headers``)."""
    made = {**getattr(request.state, "headers", {}), **(headers or {})}
    if kind == "unknown-caller":
        made.setdefault("WWW-Authenticate", "Bearer")
    body = problem_body(kind, detail, getattr(request.state, "request_id", ""), **more)
    return Response(body, KINDS[kind][0], made, MEDIA)


def add_problems(app: FastAPI) -> None:
    """Every error that a route raises becomes a problem."""

    async def own(request: Request, error: Exception) -> Response:
        kind = _kind(error)
        if kind == "failed":
            _LOG.error("%s failed", getattr(request.state, "request_id", ""), exc_info=error)
            return answer(request, kind, "the hub could not do this; its log tells more under the request's id")
        wait = {"Retry-After": str(math.ceil(error.retry_after_s))} if isinstance(error, TooMany) else {}
        if kind == "unavailable":
            wait = {"Retry-After": "5"}
            _LOG.warning("%s %s", getattr(request.state, "request_id", ""), error)
        return answer(request, kind, _without_path(error), wait)

    async def http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)  # noqa: S101
        if isinstance(error, Problem):
            return answer(request, error.kind, str(error.detail), error.headers, **error.more)
        kind = _BY_STATUS.get(error.status_code, "bad-request" if error.status_code < 500 else "failed")
        return answer(request, kind, str(error.detail), error.headers)

    async def unfit(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)  # noqa: S101
        wrong = error.errors()
        named = [str(one["input"])[:80] for one in wrong if one["loc"][0] == "path"]
        if named and request.method != "PUT":  # no name of anything, so there is nothing; PUT would make it
            return answer(request, "not-found", f"there is nothing that is called {named[0]!r}")
        found = [{"where": _pointer(one["loc"]), "told": str(one["msg"])[:200]} for one in wrong[:20]]
        return answer(request, "unfit", "see errors: each tells where it is and what does not fit", errors=found)

    async def database(request: Request, error: Exception) -> Response:
        if isinstance(error, IntegrityError):
            return answer(request, "conflict", "something with that name is there, or what it refers to is gone")
        if isinstance(error, DataError):
            return answer(request, "unfit", "a value holds what the database cannot keep")
        if no_room(error):
            _LOG.warning("%s %s", getattr(request.state, "request_id", ""), told(error))
            detail = "the disk of the hub's database is full; free some space there, then try again"
            return answer(request, "unavailable", detail, {"Retry-After": "5"})
        lost = isinstance(error, DBAPIError) and error.connection_invalidated
        if lost or isinstance(error, OperationalError | TimeoutError | InterfaceError):
            _LOG.warning("%s the database does not answer: %s", getattr(request.state, "request_id", ""), error)
            return answer(request, "unavailable", "the database does not answer; try again", {"Retry-After": "5"})
        _LOG.error("%s failed", getattr(request.state, "request_id", ""), exc_info=error)
        return answer(request, "failed", "the hub could not do this; its log tells more under the request's id")

    async def fault(request: Request, _: Exception) -> Response:
        # Starlette raises it once more after this answer: the shell, which is around it, writes it into the log.
        return answer(request, "failed", "the hub could not do this; its log tells more under the request's id")

    app.add_exception_handler(Exception, fault)
    app.add_exception_handler(EdgewrightError, own)
    app.add_exception_handler(HTTPException, http)
    app.add_exception_handler(RequestValidationError, unfit)
    app.add_exception_handler(DBAPIError, database)
    app.add_exception_handler(TimeoutError, database)


def _kind(error: Exception) -> str:
    return next((kind for family, kind in _FAMILIES if isinstance(error, family)), "failed")


def refusal(request_id: str, error: EdgewrightError | Problem) -> Response:
    """The answer to who may not open a websocket."""
    kind = error.kind if isinstance(error, Problem) else _kind(error)
    told = str(error.detail) if isinstance(error, Problem) else str(error)
    return Response(problem_body(kind, told, request_id), KINDS[kind][0], media_type=MEDIA)


def _without_path(error: Exception) -> str:
    """It in words; where the hub keeps its files is nobody's business."""
    if isinstance(error, DiskFull):
        return "the hub's disk is full; free some space there, then try again"
    if isinstance(error, StorageError) and isinstance(error.__cause__, OSError):
        return f"the hub cannot use its disk: {reason(error.__cause__)}"
    return str(error)


def _pointer(place: tuple[Any, ...]) -> str:
    """Where in the request: ``body/roles/0`` or ``query/limit``."""
    return "/".join(str(step)[:60] for step in place[:10])
