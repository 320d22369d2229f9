"""Events: what happens in a tenant, numbered, for whoever watches live.

- ``tables``: events, and the last number of each tenant.
- ``telling``: ``emit(session, kind, of, data, now)`` in the transaction of what happened; ``forget`` what is old.
- ``following``: one reader for all viewers of a process. ``viewing``: one viewer.
- ``routes``: /api/edge/events (pages and server-sent events) and /api/edge/events/ws.

Numbers of a tenant rise by one in the order of the commits: who saw one has missed nothing before it, and the last
number a client saw is enough to go on.
"""

from __future__ import annotations

from edgewright.hub.events.following import close
from edgewright.hub.events.telling import emit, forget

__all__ = ["close", "emit", "forget"]
