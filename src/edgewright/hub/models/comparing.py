"""Versions side by side: what differs comes first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

_MOST = 500


def compared(told: Sequence[Mapping[str, Any]]) -> list[tuple[str, list[Any], bool]]:
    """``(what, values, same)`` for every figure in any of them, by dotted name: those that differ first, and otherwise
    in the order in which they stand. A figure that one does not have is None there."""
    flat = [dict(_flat(one)) for one in told]
    names = list(dict.fromkeys(name for one in flat for name in one))[:_MOST]
    rows = [(name, [one.get(name) for one in flat]) for name in names]
    found = [(name, values, all(value == values[0] for value in values)) for name, values in rows]
    return sorted(found, key=lambda row: row[2])


def _flat(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping) and value:
        for key, part in value.items():
            yield from _flat(part, f"{name}.{key}" if name else str(key))
    elif name:
        yield name, value
