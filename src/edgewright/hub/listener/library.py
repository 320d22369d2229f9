"""Library: what devices fetch, as their answers need it."""

from __future__ import annotations

from edgewright.hub import library
from edgewright.hub.database import Scoped
from edgewright.hub.errors import Absent
from edgewright.hub.library import File
from edgewright.hub.state import State


def metadata(session: Scoped, name: str) -> bytes:
    """A file of the tenant's update metadata. Raises Absent."""
    found = library.metadata(session, name)
    if found is None:
        raise Absent(f"there is no {name[:60]!r}")
    return found


def first_root(session: Scoped) -> str:
    """The root metadata that a new device trusts first; "" where the tenant has none yet."""
    found = library.metadata(session, "1.root.json")
    return "" if found is None else found.decode()


def open_file(state: State, tenant: str, digest: str) -> File:
    """A file by its SHA-256. Raises Absent."""
    return library.open_file(state, tenant, digest)


def delta(state: State, tenant: str, new: str, old: str) -> bytes:
    """The recipe from one bundle to another. Raises Absent."""
    found = library.delta(state, tenant, new, old)
    if found is None:
        raise Absent("there is no delta; take the whole bundle")
    return found
