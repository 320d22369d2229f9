"""Profiles: device classes that people choose from. Those that ship (templates), and a tenant's own.

What other slices use::

    profiles.resolve(session, "raspberry-pi-5")     # or a profile's id: the Target; Absent

``tables``; ``making`` (from a document, or from what an enrolled device tells); ``fits`` (which model fits where, in a
child process); ``routes_profiles``, ``routes_fits``. Names are resolved on first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edgewright.hub.profiles.making import resolve

_PLACES = {"resolve": "making"}

__all__ = ["resolve"]


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(name)
    return getattr(import_module(f"{__name__}.{_PLACES[name]}"), name)
