"""Library: what devices fetch, from the slice that keeps it; nothing where that slice is not there."""

from __future__ import annotations

import importlib
from typing import Any

from edgewright.hub.database import Scoped
from edgewright.hub.errors import Absent


def _library() -> Any:
    try:
        return importlib.import_module("edgewright.hub.library")
    except ModuleNotFoundError as error:
        raise Absent("this hub keeps no bundles") from error


def metadata(session: Scoped, name: str) -> bytes:
    """A file of the tenant's update metadata. Raises Absent."""
    found: bytes | None = _library().metadata(session, name)
    if found is None:
        raise Absent(f"there is no {name[:60]!r}")
    return found


def first_root(session: Scoped) -> str:
    """The root metadata that a new device trusts first; "" where the tenant has none yet."""
    try:
        return metadata(session, "1.root.json").decode()
    except Absent:
        return ""


def open_file(state: Any, tenant: str, digest: str) -> Any:
    """A file by its SHA-256: ``length``, ``read(start, length)``. Raises Absent."""
    return _library().open_file(state, tenant, digest)


def delta(state: Any, tenant: str, new: str, old: str) -> bytes:
    """The recipe from one bundle to another. Raises Absent."""
    found: bytes | None = _library().delta(state, tenant, new, old)
    if found is None:
        raise Absent("there is no delta; take the whole bundle")
    return found
