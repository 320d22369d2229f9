"""Pages by cursor: a list goes on after the last key that was seen, however many rows came or went meanwhile.

A list's route answers with ``paged``, and says in ``response_model`` what that is::

    @router.get("", response_model=Page[ThingTold])
    def things(caller: Reads, page: PageQuery) -> Response:
        return paged(caller.look, ThingTold, Thing.id, page, newest_first=True)
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Generic, TypeVar

import orjson
from fastapi import Depends, Query, Request, Response
from sqlalchemy import ColumnElement
from sqlalchemy.orm import InstrumentedAttribute

from edgewright.core.digests import canonical_json
from edgewright.core.strict import parse_json
from edgewright.hub.database import Rows
from edgewright.hub.web import short
from edgewright.hub.web.bodies import Answer, Told, spelled
from edgewright.hub.web.problems import Problem
from edgewright.hub.web.reading import Ready, fields, statements

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
    source: Rows, told: type[Told], key: InstrumentedAttribute[Any], wanted: Wanted, *where: ColumnElement[bool],
    newest_first: bool = False, given: Sequence[Any] = (),
) -> Response:  # fmt: skip
    """The answer with a page of the rows of ``key``'s table ``where`` all of these hold, in the order of ``key``
    (unique within the tenant, a string or a whole number); ``source``: a session, or ``Caller.look`` where nothing else
    is read; ``given``: what ``told.adapt`` takes besides a row."""
    rows, following = read_page(source, told, key, wanted, *where, newest_first=newest_first)
    return answered(fields(told, rows, *given), following)


def read_page(
    source: Rows, told: type[Told], key: InstrumentedAttribute[Any], wanted: Wanted, *where: ColumnElement[bool],
    newest_first: bool = False,
) -> tuple[list[dict[str, Any]], str | None]:  # fmt: skip
    """The columns that ``told`` takes, of each row, and the cursor of the page after: for lists that look at all rows
    together before they tell them (``fields``)."""
    made = statements(told, key, newest_first)
    query, values = made.begun, {"most": wanted.limit + 1}
    if wanted.after is not None:
        if not isinstance(wanted.after, key.type.python_type):
            raise Problem("unfit", "that cursor is of another list; begin again without one")
        query, values = made.after, {**values, "after": wanted.after}
    found = source.rows(query, values, *where)
    if not found:
        return [], None
    rows = made.shape.rows(list(zip(*found[: wanted.limit], strict=True)))
    return rows, write_cursor(rows[-1][key.key]) if len(found) > wanted.limit else None


def answered(items: Sequence[dict[str, Any]], following: str | None, **more: Any) -> Response:
    """A page as a response; what else belongs to it is ``more``."""
    whole = {"items": items, "next": following, **more}
    try:
        data = orjson.dumps(whole, _plain, orjson.OPT_PASSTHROUGH_DATETIME)
    except orjson.JSONEncodeError:  # a whole number of more than 64 bits in somebody's document
        data = json.dumps(whole, default=_plain, separators=(",", ":")).encode()
    return Response(data, media_type="application/json")


def _plain(value: Any) -> Any:
    """What JSON has no word for. Raises TypeError."""
    if isinstance(value, Ready):
        return json.loads(orjson.dumps(value))
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
