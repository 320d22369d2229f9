"""Reading: only the columns that are told are read, as the database has them, and become what is told without an object
for each row: no other part of a list took as long."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import repeat
from typing import Any

import orjson
from sqlalchemy import JSON, BigInteger, ColumnElement, Text, bindparam, select, type_coerce
from sqlalchemy.orm import InstrumentedAttribute

from edgewright.hub.database import Bound, Instant, bound, read_document
from edgewright.hub.web.bodies import Beside, Told, spelled_ms

Ready = orjson.Fragment
"""A value that is JSON already, as text."""
_TO_COME = repeat(...)
"""Of fields that are no columns, until ``adapt`` gives them; it is no JSON."""


class Shape:
    """What is read of ``kind`` for ``told``: ``columns``, those of the rows beside it behind its own, and the rows that
    they become. ``more``: names of columns besides, which are not told."""

    def __init__(self, told: type[Told], kind: Any, *more: str) -> None:
        taken = list(dict.fromkeys((*told.columns(kind), *more)))
        self._names = tuple(dict.fromkeys((*told.model_fields, *taken)))  # in which adapt finds its place for each
        self._places = tuple(taken.index(name) if name in taken else None for name in self._names)
        self._ways, self._beside = list[tuple[int, Callable[[Any], Any]]](), list[tuple[Beside, Shape, slice]]()
        self.columns: list[ColumnElement[Any]] = [getattr(kind, name) for name in taken]
        for at, one in enumerate(self.columns):
            if isinstance(one.type, Instant):
                self.columns[at] = type_coerce(one, BigInteger)
                self._ways.append((at, spelled_ms))
            elif isinstance(one.type, JSON):
                self.columns[at] = type_coerce(one, Text)
                seen = _looked_at if taken[at] not in told.model_fields else _document
                self._ways.append((at, _as_it_is if taken[at] in told.ready else seen))
        for other in told.beside:
            shape, began = Shape(other.told, other.kind, other.key), len(self.columns)
            self.columns += shape.columns
            self._beside.append((other, shape, slice(began, len(self.columns))))

    def rows(self, columns: list[Sequence[Any]]) -> list[dict[str, Any]]:
        """Of the values of each column. The list is used up."""
        for at, way in self._ways:
            columns[at] = [None if one is None else way(one) for one in columns[at]]
        ordered = [_TO_COME if at is None else columns[at] for at in self._places]
        rows = [dict(zip(self._names, row, strict=True)) for row in zip(*ordered, strict=False)]
        for other, shape, part in self._beside:
            found = shape.rows(columns[part])
            there = [one if one[other.key] is not None else None for one in found]
            told = iter(fields(other.told, [one for one in there if one is not None]))
            for row, one in zip(rows, there, strict=True):
                row[other.name] = None if one is None else next(told)
        return rows


def fields(told: type[Told], rows: Sequence[dict[str, Any]], *given: Any) -> list[dict[str, Any]]:
    """What is told of each, in the order of the model, and nothing else. The rows are used up."""
    names, aside = told.model_fields.keys(), [name for name in told.also if name not in told.model_fields]
    found = []
    for row in rows:
        one = told.adapt(row, *given)
        for name in aside:
            one.pop(name, None)
        whole = one is row and len(one) == len(names)  # a row that was read has them all, in this order
        found.append(one if whole else {name: one[name] for name in names})
    return found


@dataclass(frozen=True)
class Statements:
    """A list from its beginning, ``after`` a key, and the shape of its rows."""

    begun: Bound
    after: Bound
    shape: Shape


@cache
def statements(told: type[Told], key: InstrumentedAttribute[Any], newest_first: bool) -> Statements:
    """For ``told`` of the rows of ``key``'s table in the order of ``key``; parameters: ``most``, ``after``."""
    shape = Shape(told, key.class_, key.key)
    query = select(*shape.columns).select_from(key.class_)
    for other in told.beside:
        query = query.outerjoin(other.kind, other.on)
    query = query.order_by(key.desc() if newest_first else key).limit(bindparam("most"))
    after = query.where(key < bindparam("after") if newest_first else key > bindparam("after"))
    return Statements(bound(query), bound(after), shape)


def _document(told: Any) -> Any:
    """SQLite keeps text; PostgreSQL's driver has read it already."""
    return read_document(told) if isinstance(told, str) else told


def _looked_at(told: Any) -> Any:
    """What is told to nobody: a whole number of more than 64 bits in there may come as another one, three times as
    soon."""
    try:
        return orjson.loads(told) if isinstance(told, str) else told
    except orjson.JSONDecodeError:  # NaN, say
        return read_document(told)


def _as_it_is(told: Any) -> Any:
    return Ready(told) if isinstance(told, str) else told
