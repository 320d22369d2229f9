"""Pages by cursor: a list goes on after the last key that was seen, however many rows came or went meanwhile."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Generic, TypeVar

from fastapi import Depends, Query
from sqlalchemy import Select
from sqlalchemy.orm import InstrumentedAttribute

from edgewright.core.digests import canonical_json
from edgewright.core.strict import parse_json
from edgewright.hub.database import Scoped
from edgewright.hub.web.bodies import Answer
from edgewright.hub.web.problems import Problem

Item = TypeVar("Item")
Row = TypeVar("Row")
MOST = 200


class Page(Answer, Generic[Item]):
    """``next`` is the cursor of the page after this one, null on the last."""

    items: list[Item]
    next: str | None = None


@dataclass(frozen=True)
class Wanted:
    """Which page is asked for."""

    limit: int
    after: Any


async def _wanted(
    limit: Annotated[int, Query(ge=1, le=MOST, description="rows in a page")] = 50,
    cursor: Annotated[str | None, Query(max_length=400, description="`next` of the page before")] = None,
) -> Wanted:
    return Wanted(limit, None if cursor is None else read_cursor(cursor))


PageQuery = Annotated[Wanted, Depends(_wanted)]


def paged(
    session: Scoped,
    query: Select[Row],
    key: InstrumentedAttribute[Any],
    wanted: Wanted,
    told: Callable[[Row], Item],
    *,
    newest_first: bool = False,
) -> Page[Item]:
    """One page of ``query`` in the order of ``key`` (unique within the tenant, a string or a whole number)."""
    if wanted.after is not None:
        if not isinstance(wanted.after, key.type.python_type):
            raise Problem("unfit", "that cursor is of another list; begin again without one")
        query = query.where(key < wanted.after if newest_first else key > wanted.after)
    rows = session.scalars(query.order_by(key.desc() if newest_first else key).limit(wanted.limit + 1)).all()
    more = len(rows) > wanted.limit
    shown = rows[: wanted.limit]
    after = write_cursor(getattr(shown[-1], key.key)) if more else None
    return Page(items=[told(row) for row in shown], next=after)


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
