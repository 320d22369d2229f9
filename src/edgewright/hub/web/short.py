"""The short way of lists: most requests of a page ask for nothing but that page, with a credential that was seen a
moment ago. FastAPI hands a request through a dozen layers, resolves what its route takes anew each time, and takes two
threads in turn; for those it need not.

A route takes the short way when it answers a ready ``Response``, and each of its parameters has a default or is a
dependency with ``at_once``: a function of the request and its query that gives the value where it is known without
waiting, else None. Whatever is not plain, and what fails, goes FastAPI's way, which is complete.

A route that is ``brief`` besides takes no thread where the database lies in this process: handing a page of fifty rows
to a thread and back took as long as the page, for SQLite lets go of the interpreter's lock with each row.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Annotated, Any, TypeVar, get_args, get_origin, get_type_hints

from fastapi import Request, Response, params
from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Receive, Scope, Send

Query = Mapping[str, str]
Way = Callable[[Request], Response | Awaitable[Response] | None]
Endpoint = TypeVar("Endpoint", bound=Callable[..., Response])
AtOnce = Callable[[Request, Query], Any]
PLAIN = frozenset(("limit", "cursor"))
"""Names in the query of a request that may go the short way."""
_NOTHING: Query = {}
_LENGTH = 500


def brief(endpoint: Endpoint) -> Endpoint:
    """Mark a list that reads one page of small rows in the order of their key, asked plainly: no other rows are looked
    at for it, so that it never takes long."""
    endpoint.brief = True  # type: ignore[attr-defined]
    return endpoint


class Short:
    """``app``, before which the lists among the ``routes`` take the short way."""

    def __init__(self, app: ASGIApp, routes: Iterable[BaseRoute]) -> None:
        lists = [
            one for one in routes if isinstance(one, APIRoute) and "GET" in (one.methods or ()) and not one.dependencies
        ]
        ways = {one.path: short_way(one.endpoint) for one in lists}
        self._app, self._ways = app, {path: way for path, way in ways.items() if way is not None}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        way = self._ways.get(scope["path"]) if scope["type"] == "http" and scope["method"] == "GET" else None
        answer = None if way is None else await _answer(way, Request(scope))
        await (self._app if answer is None else answer)(scope, receive, send)


async def _answer(way: Way, request: Request) -> Response | None:
    try:
        answer = way(request)
        return answer if answer is None or isinstance(answer, Response) else await answer
    except Exception:  # noqa: BLE001 - the other way meets it again, and tells it
        return None


def short_way(endpoint: Callable[..., Any]) -> Way | None:
    """The short way to ``endpoint``; None where there is none. What it gives for a request is its answer, now or to
    come, or None for one that is not plain; it raises what the dependencies raise."""
    needed, quick = _needed(endpoint), getattr(endpoint, "brief", False)
    if needed is None:
        return None

    def answer(request: Request) -> Response | Awaitable[Response] | None:
        query = plain(request.scope["query_string"])
        if query is None:
            return None
        given = {}
        for name, at_once in needed:
            given[name] = at_once(request, query)
            if given[name] is None:
                return None
        if quick and request.state.hub.database.embedded:
            return endpoint(**given)  # type: ignore[no-any-return]
        return run_in_threadpool(endpoint, **given)

    return answer


def plain(query: bytes) -> Query | None:
    """A query of PLAIN names, each once, with values that nothing has to be read out of; None for any other."""
    if not query:
        return _NOTHING
    found: dict[str, str] = {}
    if len(query) > _LENGTH or not query.isascii():
        return None
    for part in query.decode("ascii").split("&"):
        name, _, value = part.partition("=")
        if name not in PLAIN or name in found or not value.replace("-", "").replace("_", "").isalnum():
            return None
        found[name] = value
    return found


def _needed(endpoint: Callable[..., Any]) -> list[tuple[str, AtOnce]] | None:
    """The parameters that have no default, and how each is known at once. Those that may refuse or count the caller
    come last: a request that goes the other way after all is not counted twice."""
    if inspect.iscoroutinefunction(endpoint):
        return None
    hints = get_type_hints(endpoint, include_extras=True)
    if hints.get("return") is not Response:
        return None
    needed = []
    for name, parameter in inspect.signature(endpoint).parameters.items():
        told = get_args(hints[name])[1:] if get_origin(hints[name]) is Annotated else ()
        depends = [one for one in told if isinstance(one, params.Depends)]
        at_once: AtOnce | None = getattr(depends[0].dependency, "at_once", None) if depends else None
        if at_once is not None:
            needed.append((name, at_once))
        elif (
            parameter.default is inspect.Parameter.empty
            or depends
            or any(isinstance(one, params.Header | params.Cookie) for one in told)
        ):
            return None
    return needed[::-1]
