"""Plain: what devices say, before a database, a page or a terminal gets it."""

from __future__ import annotations

from typing import Any


def plain(value: Any) -> Any:
    """A JSON value whose strings hold characters that can be printed alone (PostgreSQL takes no NUL character)."""
    if isinstance(value, str):
        return value if value.isprintable() else "".join(c if c.isprintable() else " " for c in value)
    if isinstance(value, dict):
        return {plain(name): plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    return value
