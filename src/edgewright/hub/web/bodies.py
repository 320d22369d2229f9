"""What bodies and answers are made of."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import Annotated, Any, ClassVar, Self

from fastapi import APIRouter, Request, Response
from fastapi.routing import APIRoute
from pydantic import AfterValidator, BaseModel, ConfigDict, PlainSerializer, StringConstraints
from sqlalchemy import ColumnElement, inspect
from starlette.concurrency import run_in_threadpool
from starlette.routing import BaseRoute, Match
from starlette.types import Receive, Scope, Send

from edgewright.core.strict import parse_json
from edgewright.hub.ids import PATTERN
from edgewright.hub.web.problems import Problem

_JOINERS = "\u200c\u200d"
"""Persian is not written without the one, nor some emoji without the other."""
_FIRST = date(1970, 1, 1).toordinal()
_ROUTE = "edgewright.route"
_ASIDE_BYTES = 1 << 16
_JSON_BYTES = 1 << 24  # the shell bounds the bodies of each path


def printable(text: str) -> str:
    """Text without control characters, or such as turn the order of what follows. Raises ValueError."""
    for one in text:
        if not one.isprintable() and unicodedata.category(one) != "Zs" and one not in _JOINERS:
            raise ValueError(f"it holds U+{ord(one):04X}, which cannot be printed")
    return text


def _named(text: str) -> str:
    if not text.strip():
        raise ValueError("a name has something to read in it")
    return printable(text.strip())


Words = Annotated[str, AfterValidator(printable)]
"""Text of people on one line: nothing that a terminal or a database would take for something else."""
Name = Annotated[str, StringConstraints(min_length=1, max_length=120), AfterValidator(_named)]
"""What somebody or something is called: without spaces around it."""
Id = Annotated[str, StringConstraints(pattern=PATTERN)]
"""An id of ours; a path that holds anything else never reaches the database."""


def spelled(at: datetime) -> str:
    """RFC 3339 in UTC, with milliseconds."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def spelled_ms(at: int) -> str:
    """The same of whole milliseconds since 1970, as the database keeps a moment: a page has some hundred of them, and a
    datetime in between takes six times as long."""
    minute, rest = divmod(at, 60_000)
    return f"{_minute(minute)}{_SECONDS[rest // 1000]}{_THOUSANDTHS[rest % 1000]}"


_SECONDS = [f"{second:02d}." for second in range(60)]
_THOUSANDTHS = [f"{thousandth:03d}Z" for thousandth in range(1000)]


@lru_cache(4096)
def _minute(minute: int) -> str:
    day, rest = divmod(minute, 1440)
    return f"{date.fromordinal(_FIRST + day).isoformat()}T{rest // 60:02d}:{rest % 60:02d}:"


Moment = Annotated[datetime, PlainSerializer(spelled, return_type=str, when_used="json")]


class Body(BaseModel):
    """What a client sends: nothing that is not known, no number for a word."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Answer(BaseModel):
    """What the hub answers."""

    model_config = ConfigDict(frozen=True)


@dataclass(frozen=True)
class Beside:
    """The field ``name`` is the row of ``kind`` for which ``on`` holds, as ``told`` tells it; None where there is none.
    ``key``: a column of it that is never null."""

    name: str
    told: type[Told]
    kind: Any
    on: ColumnElement[bool]
    key: str = "id"


class Told(Answer):
    """What is told of a row: its columns of the same names, and what ``adapt`` makes of them. ``of`` tells one;
    ``paging.paged`` a page of them, by the same rules and without making an object of each."""

    also: ClassVar[tuple[str, ...]] = ()
    """Columns that ``adapt`` wants to see besides, by name."""
    ready: ClassVar[tuple[str, ...]] = ()
    """Columns of documents that ``adapt`` hands on as they are, whatever they are: a list need not read them."""
    beside: ClassVar[tuple[Beside, ...]] = ()
    """Fields that are rows of other tables, which a list reads with its own before ``adapt`` sees them."""

    @classmethod
    def adapt(cls, row: dict[str, Any], *given: Any, **named: Any) -> dict[str, Any]:
        """The fields, from the columns (moments are spelled already): ``row`` itself, changed, or another one. What
        else is in there is told to nobody."""
        return row

    @classmethod
    def columns(cls, kind: Any) -> tuple[str, ...]:
        """Names of the columns of ``kind`` that it takes."""
        there = {one.key for one in inspect(kind).column_attrs}
        return tuple(name for name in (*cls.model_fields, *cls.also) if name in there)

    @classmethod
    def of(cls, row: Any, *given: Any) -> Self:
        """As it is told."""
        return cls(**cls.adapt(cls.taken(row), *given))

    @classmethod
    def taken(cls, row: Any) -> dict[str, Any]:
        """Of an object of a table, what ``adapt`` takes."""
        found = {name: getattr(row, name) for name in cls.columns(type(row))}
        return {name: spelled(one) if isinstance(one, datetime) else one for name, one in found.items()}


class _StrictRequest(Request):
    async def json(self) -> Any:
        """The body, read the one way every parser would read it. Raises Problem."""
        if not hasattr(self, "_json"):
            try:
                body = await self.body()
                if len(body) > _ASIDE_BYTES:  # a mebibyte may take 150 ms, in which nobody would be answered
                    self._json = await run_in_threadpool(parse_json, body, _JSON_BYTES)
                else:
                    self._json = parse_json(body, _JSON_BYTES)
            except ValueError as error:
                raise Problem("bad-request", f"the body cannot be used: {error}") from error
        return self._json


class StrictRoute(APIRoute):
    """A route whose JSON is parsed strictly. Whoever is not let in is told so before anything of a body is read. Every
    router of the hub has it as its ``route_class``."""

    def get_route_handler(self) -> Any:
        """FastAPI's handler, with our request; before it, dependencies that come ``first``."""
        handle = super().get_route_handler()
        first = [one for one in (getattr(part.call, "first", None) for part in self.dependant.dependencies) if one]

        async def strictly(request: Request) -> Response:
            for one in first:
                await one(request)
            return await handle(_StrictRequest(request.scope, request.receive))

        return strictly


class Router(APIRouter):
    """A slice's routes, all of them strict."""

    def __init__(self, **named: Any) -> None:
        super().__init__(**{"route_class": StrictRoute, **named})


class Slices(BaseRoute):
    """The routes of all slices as one, which finds a path's few by its first word after ``/api/edge``: with a hundred
    routes most of a short request's time went into trying each one's pattern."""

    def __init__(self, routers: Iterable[APIRouter]) -> None:
        self._by_word: dict[str, list[BaseRoute]] = {}
        for route in (route for router in routers for route in router.routes):
            self._by_word.setdefault(_word(getattr(route, "path", "")), []).append(route)

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """The first that fits; else the first of another method, which says so."""
        partial: tuple[Match, Scope] = Match.NONE, {}
        for route in self._by_word.get(_word(scope.get("path", "")), ()):
            match, more = route.matches(scope)
            if match is Match.FULL:
                return match, {**more, _ROUTE: route}
            if match is Match.PARTIAL and partial[0] is Match.NONE:
                partial = match, {**more, _ROUTE: route}
        return partial

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """By the one that was found."""
        await scope[_ROUTE].handle(scope, receive, send)


def _word(path: str) -> str:
    return path.split("/", 4)[3] if path.count("/") > 2 else ""
