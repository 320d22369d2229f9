"""Sources: of which models the bundles were made that came to an older release, which did not write it down."""

from __future__ import annotations

from contextlib import suppress

from sqlalchemy import select

from edgewright.bundles import Limits
from edgewright.core.errors import EdgewrightError, StorageError, Unavailable
from edgewright.core.strict import parse_json
from edgewright.hub.database import EVERY
from edgewright.hub.library.bundles import find
from edgewright.hub.library.facts import DIGEST, NO_SOURCE
from edgewright.hub.library.files import open_file
from edgewright.hub.library.tables import Bundle
from edgewright.hub.state import State


def name_sources(state: State) -> int:
    """Read them from the manifests, which were verified when they came; how many. Where the store does not answer they
    are read the next time."""
    with state.database.read(EVERY) as session:
        waiting = session.execute(select(Bundle.tenant, Bundle.digest).where(Bundle.source == "")).all()
    for tenant, digest in waiting:
        source = _source(state, tenant, digest)
        with suppress(EdgewrightError), state.database.write(tenant) as session:  # somebody may have removed it
            find(session, digest).source = source
    return len(waiting)


def _source(state: State, tenant: str, digest: str) -> str:
    try:
        file, most = open_file(state, tenant, digest), Limits().manifest_bytes
        told = parse_json(file.read(0, min(file.length, most)), most)
    except (StorageError, Unavailable):
        return ""
    except (EdgewrightError, ValueError):
        return NO_SOURCE
    source = told.get("source") if isinstance(told, dict) else None
    return source if isinstance(source, str) and DIGEST.fullmatch(source) else NO_SOURCE
