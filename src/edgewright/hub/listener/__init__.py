"""Listener: where devices connect. TLS 1.3 with their certificates, the calls of docs/reference/device-protocol.md.

    with Listener(state, bound_socket, names):      # a thread with its own event loop
        ...

- ``server``: connections, handshakes, the hub's certificate. ``protocol``: one connection. ``app``: dispatch.
- ``gate``: who is let in, from memory (``fleet.roster``), for each request. ``watcher``: the thread that looks at the
  database for what changed. ``writer``: the thread that writes for many devices in one transaction.
- ``polls``: sync; ``comings``: enrol and renew; ``tellings``: reports and uploads; ``fetches``: what devices download.
"""

from edgewright.hub.listener.handles import raise_limit
from edgewright.hub.listener.server import Listener

__all__ = ["Listener", "raise_limit"]
