"""A tiny evaluator for decision rows: conditions on named facts, kept as data.

A condition is a key and a value. A plain key means equality; a suffix means: ``_in`` one of a list, ``_none`` none of a
list, ``_any`` the fact (a set) and the list meet, ``_min`` and ``_max`` inclusive bounds. All of a row's conditions
must hold; an empty table always does. A key that is no fact is an error, so that a misspelt row cannot slumber.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from edgewright.advice.tables import check_keys, read
from edgewright.core.errors import InputError

Fact = str | int | float | bool | frozenset[str]
_SUFFIXES = ("_in", "_none", "_any", "_min", "_max")


@dataclass(frozen=True)
class Row:
    """One line of a decision table. ``rest`` holds what the table adds: choice, verdict, step..."""

    id: str
    when: Mapping[str, Any]
    reason: str
    source: str
    rest: Mapping[str, Any]


@cache
def rows(table: str) -> tuple[Row, ...]:
    """The rows of ``advice/data/<table>.toml`` in order. Raises InputError for one that lacks a part."""
    found: list[Row] = []
    for number, entry in enumerate(read(table).get("row", ()), 1):
        place = f"advice/data/{table}.toml row {entry.get('id') or number}"
        own = {"choice", "also", "verdict", "step", "fallback"}
        check_keys(entry, ("id", "reason", "source"), ("when", *own), place)
        if not isinstance(entry.get("when"), dict):
            raise InputError(f"{place}: 'when' must be a table of conditions; write {{}} for always")
        rest = {key: value for key, value in entry.items() if key in own}
        found.append(Row(entry["id"], entry["when"], entry["reason"], entry["source"], rest))
    names = [row.id for row in found]
    if len(set(names)) != len(names):
        raise InputError(f"advice/data/{table}.toml names a row twice")
    return tuple(found)


def speaking(table: Sequence[Row], facts: Mapping[str, Fact]) -> Iterator[Row]:
    """The rows whose conditions all hold, in order."""
    return (row for row in table if all(holds(key, value, facts) for key, value in row.when.items()))


def holds(key: str, wanted: Any, facts: Mapping[str, Fact]) -> bool:
    """Whether one condition holds. Raises InputError for a key that names no fact or a value of the wrong kind."""
    if key in facts:
        return bool(facts[key] == wanted)
    suffix = next((s for s in _SUFFIXES if key.endswith(s)), "")
    name = key.removesuffix(suffix)
    if not suffix or name not in facts:
        raise InputError(f"a decision row asks for {key!r}, which is no fact; facts: {', '.join(sorted(facts))}")
    have = facts[name]
    if suffix in ("_min", "_max"):
        if isinstance(have, bool | str | frozenset) or isinstance(wanted, bool) or not isinstance(wanted, int | float):
            raise InputError(f"the condition {key!r} needs numbers")
        return have >= wanted if suffix == "_min" else have <= wanted
    if not isinstance(wanted, list):
        raise InputError(f"the condition {key!r} needs a list")
    mine: Collection[Any] = have if isinstance(have, frozenset) else (have,)
    meets = not set(mine).isdisjoint(wanted)
    return not meets if suffix == "_none" else meets
