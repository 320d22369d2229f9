"""Pages by cursor: a list goes on after the last key that was seen, however many rows came or went meanwhile.

A list's route answers with ``paged``, and says in ``response_model`` what that is::

    @router.get("", response_model=Page[ThingTold])
    def things(caller: Reads, page: PageQuery) -> Response:
        with caller.read() as session:
            return paged(session, ThingTold, Thing.id, page, newest_first=True)

Only the columns that are told are read, and they become bytes without an object for each row: no other part of a list
took as long.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from itertools import repeat
from typing import Annotated, Any, Generic, TypeVar

import orjson
from fastapi import Depends, Query, Request, Response
from sqlalchemy import JSON, BigInteger, ColumnElement, Text, bindparam, select, type_coerce
from sqlalchemy.orm import InstrumentedAttribute

from edgewright.core.digests import canonical_json
from edgewright.core.strict import parse_json
from edgewright.hub.database import Bound, Instant, Scoped, bound, read_document
from edgewright.hub.web import short
from edgewright.hub.web.bodies import Answer, Told, spelled, spelled_ms
from edgewright.hub.web.problems import Problem

Item = TypeVar("Item")
MOST = 200


class Page(Answer, Generic[Item]):
    """``next`` is the cursor of the page after this one, null on the last."""

    items: list[Item]
    next: str | None = None


@dataclass(frozen=True)
class Wanted:
    """Which page is asked for."""

    limit: int = 50
    after: Any = None


async def _wanted(
    limit: Annotated[int, Query(ge=1, le=MOST, description="rows in a page")] = 50,
    cursor: Annotated[str | None, Query(max_length=400, description="`next` of the page before")] = None,
) -> Wanted:
    return Wanted(limit, None if cursor is None else read_cursor(cursor))


def _at_once(_: Request, query: short.Query) -> Wanted | None:
    limit, cursor = query.get("limit", "50"), query.get("cursor")
    if not limit.isdecimal() or len(limit) > 3 or not 1 <= int(limit) <= MOST or len(cursor or "") > 400:
        return None
    try:
        return Wanted(int(limit), None if cursor is None else read_cursor(cursor))
    except Problem:  # told where the credential was looked at first
        return None


_wanted.at_once = _at_once  # type: ignore[attr-defined]
PageQuery = Annotated[Wanted, Depends(_wanted)]


def paged(
    session: Scoped, told: type[Told], key: InstrumentedAttribute[Any], wanted: Wanted, *where: ColumnElement[bool],
    newest_first: bool = False, given: Sequence[Any] = (),
) -> Response:  # fmt: skip
    """The answer with a page of the rows of ``key``'s table ``where`` all of these hold, in the order of ``key``
    (unique within the tenant, a string or a whole number); ``given``: what ``told.adapt`` takes besides a row."""
    rows, following = read_page(session, told, key, wanted, *where, newest_first=newest_first)
    return answered(fields(told, rows, *given), following)


def read_page(
    session: Scoped, told: type[Told], key: InstrumentedAttribute[Any], wanted: Wanted, *where: ColumnElement[bool],
    newest_first: bool = False,
) -> tuple[list[dict[str, Any]], str | None]:  # fmt: skip
    """The columns that ``told`` takes, of each row, and the cursor of the page after: for lists that look at all rows
    together before they tell them (``fields``)."""
    whole, begun, names, places, ways = _statements(told, key, newest_first)
    query, values = whole, {"most": wanted.limit + 1}
    if wanted.after is not None:
        if not isinstance(wanted.after, key.type.python_type):
            raise Problem("unfit", "that cursor is of another list; begin again without one")
        query, values = begun, {**values, "after": wanted.after}
    found = session.rows(query, values, *where)
    if not found:
        return [], None
    columns: list[Sequence[Any]] = list(zip(*found[: wanted.limit], strict=True))
    for at, way in ways:
        columns[at] = [None if one is None else way(one) for one in columns[at]]
    ordered = [_TO_COME if at is None else columns[at] for at in places]
    rows = [dict(zip(names, row, strict=True)) for row in zip(*ordered, strict=False)]
    return rows, write_cursor(rows[-1][key.key]) if len(found) > wanted.limit else None


def fields(told: type[Told], rows: Sequence[dict[str, Any]], *given: Any) -> list[dict[str, Any]]:
    """What is told of each, in the order of the model, and nothing else. The rows are used up."""
    names, aside = told.model_fields.keys(), [name for name in told.also if name not in told.model_fields]
    found = []
    for row in rows:
        one = told.adapt(row, *given)
        for name in aside:
            one.pop(name, None)
        found.append(one if one.keys() == names else {name: one[name] for name in told.model_fields})
    return found


@dataclass(frozen=True, slots=True)
class Ready:
    """A value that is JSON already, as text."""

    text: str | bytes


def answered(items: Sequence[dict[str, Any]], following: str | None, **more: Any) -> Response:
    """A page as a response; what else belongs to it is ``more``."""
    whole = {"items": items, "next": following, **more}
    try:
        data = orjson.dumps(whole, _quickly, _QUICKLY)
    except orjson.JSONEncodeError:  # a whole number of more than 64 bits in somebody's document
        data = json.dumps(whole, default=_plain, separators=(",", ":")).encode()
    return Response(data, media_type="application/json")


_TO_COME = repeat(...)
"""Of fields that are no columns, until ``adapt`` gives them; it is no JSON."""
_QUICKLY = orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_PASSTHROUGH_DATACLASS


def _quickly(value: Any) -> Any:
    return orjson.Fragment(value.text) if isinstance(value, Ready) else _plain(value)


@cache
def _statements(
    told: type[Told], key: InstrumentedAttribute[Any], newest_first: bool
) -> tuple[Bound, Bound, tuple[str, ...], tuple[int | None, ...], tuple[tuple[int, Callable[[Any], Any]], ...]]:
    """A list from its beginning, and after a key; the names of a row, which of the columns each is, and the ways in
    which values of some columns become what is told. The database hands them on as it has them."""
    taken = list(dict.fromkeys((*told.columns(key.class_), key.key)))
    names = tuple(dict.fromkeys((*told.model_fields, *taken)))  # in which adapt finds its place for each
    places = tuple(taken.index(name) if name in taken else None for name in names)
    columns = [getattr(key.class_, name) for name in taken]
    ways = list[tuple[int, Callable[[Any], Any]]]()
    for at, one in enumerate(columns):
        if isinstance(one.type, Instant):
            columns[at] = type_coerce(one, BigInteger)
            ways.append((at, spelled_ms))
        elif isinstance(one.type, JSON):
            columns[at] = type_coerce(one, Text)
            ways.append((at, _as_it_is if one.key in told.ready else _document))
    query = select(*columns)
    query = query.order_by(key.desc() if newest_first else key).limit(bindparam("most"))
    after = query.where(key < bindparam("after") if newest_first else key > bindparam("after"))
    return bound(query), bound(after), names, places, tuple(ways)


def _document(told: Any) -> Any:
    """SQLite keeps text; PostgreSQL's driver has read it already."""
    return read_document(told) if isinstance(told, str) else told


def _as_it_is(told: Any) -> Any:
    return Ready(told) if isinstance(told, str) else told


def _plain(value: Any) -> Any:
    """What JSON has no word for. Raises TypeError."""
    if isinstance(value, Ready):
        return json.loads(value.text)
    if isinstance(value, datetime):
        return spelled(value)
    raise TypeError(f"{type(value).__name__} is not told in lists")


def write_cursor(value: str | int) -> str:
    """A cursor that goes on after ``value``."""
    return base64.urlsafe_b64encode(canonical_json([value])).decode().rstrip("=")


def read_cursor(cursor: str) -> str | int:
    """What ``write_cursor`` was given. Raises Problem."""
    try:
        value = parse_json(base64.b64decode(cursor + "=" * (-len(cursor) % 4), b"-_", validate=True), 400)
        (after,) = value
        if type(after) not in (str, int) or write_cursor(after) != cursor or "\0" in str(after):
            raise ValueError
    except (ValueError, TypeError, binascii.Error) as error:
        raise Problem("unfit", "that is no cursor of this list; begin again without one") from error
    return after  # type: ignore[no-any-return]
