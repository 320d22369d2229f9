"""The library: a tenant's bundles, and the metadata by which its devices know which of them they may run.

What other slices use::

    bundle = library.find(session, digest)                    # by the digest of its manifest; Absent
    library.known(session, digests)                           # those of them that the tenant has
    library.signed(session, digest)                           # devices may run it
    library.propose(session, state, digests, rollout, now)    # hand them to the release key; held for the rollout
    library.hold(session, rollout, digests)                   # these are needed, too: neither withdrawn nor removed
    library.let_go(session, rollout)                          # it is over
    library.metadata(session, "timestamp.json")               # bytes, or None
    file = library.open_file(state, tenant, sha256)           # bundle, file inside one, or chunk of a delta; Absent
    file.length, file.read(start, length), file.pieces()
    library.delta(state, tenant, new, old)                    # the recipe, or None: not yet, or whole is better
    library.renew(state, now), library.resume(state), library.name_sources(state)    # from time to time
    library.named                                             # which objects must stay

``tables``; ``uploads``, ``facts``, ``bundles`` (taken in); ``files`` (given out); ``coding``, ``deltas``;
``repository``, ``proposals``, ``standing`` (update metadata); ``routes_bundles``, ``routes_updates``. Names are
resolved on first use: the child processes that read bundles need no database.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edgewright.hub.library.bundles import find, hold, known, let_go, named, signed
    from edgewright.hub.library.deltas import delta, resume
    from edgewright.hub.library.files import File, open_file
    from edgewright.hub.library.proposals import propose
    from edgewright.hub.library.repository import metadata, renew
    from edgewright.hub.library.sources import name_sources

_PLACES = {
    "find": "bundles", "hold": "bundles", "known": "bundles", "let_go": "bundles", "signed": "bundles",
    "delta": "deltas", "File": "files", "open_file": "files", "propose": "proposals", "metadata": "repository",
    "renew": "repository", "named": "bundles", "resume": "deltas", "name_sources": "sources",
}  # fmt: skip

__all__ = [
    "File",
    "delta",
    "find",
    "hold",
    "known",
    "let_go",
    "metadata",
    "name_sources",
    "named",
    "open_file",
    "propose",
    "renew",
    "resume",
    "signed",
]


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(name)
    return getattr(import_module(f"edgewright.hub.library.{_PLACES[name]}"), name)
