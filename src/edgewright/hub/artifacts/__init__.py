"""Artifacts: what people take away. Exports of a bundle, the bundle itself, a job's report; each until it expires.

What other slices use::

    artifacts.forget(session, now)        # from time to time, over all tenants: what has expired
    artifacts.named                       # which objects must stay

``tables``; ``kinds``: what can be made. ``exporting``: an export, in a child process that is shut off; ``making``: an
artifact from its bytes to its row; ``keeping``: found, counted, removed. ``links``: addresses that hold until a moment
without a credential. ``routes``, ``told``. Names are resolved on first use: the child processes need no database.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edgewright.hub.artifacts.keeping import forget, named

_PLACES = {"forget": "keeping", "named": "keeping"}

__all__ = ["forget", "named"]


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(name)
    return getattr(import_module(f"{__name__}.{_PLACES[name]}"), name)
