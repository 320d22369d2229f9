"""Access: who may ask over HTTP. Tokens, the names a server goes by, and pages in browsers.

Asked once per new request head; what it lets pass is remembered with the head's bytes (``lanes/http.py``) until the
tokens change.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from urllib.parse import urlsplit

from edgewright.runtime.addresses import loopback
from edgewright.runtime.lanes.http import BadHead, Head
from edgewright.runtime.tokens import Tokens, bearer

_OPEN = ("/v2/health/live", "/v2/health/ready")
"""Paths that need no token: they tell nothing, and whoever looks after the machine asks them."""
CHALLENGE = b'WWW-Authenticate: Bearer realm="edgewright"%b\r\n'
"""RFC 6750, section 3."""
_GRANTED = "granted"
Check = Callable[[Head], None]
"""Raises BadHead for a head that may not pass."""


def granted(head: Head) -> frozenset[str] | None:
    """The roles of the token that came with a head that was let pass; None where none was asked for."""
    found: frozenset[str] | None = head.memo.get(_GRANTED)
    return found


class Access:
    """What a listener asks of each new head.

    ``tokens``: None where none is needed. ``here``: the host it listens on when only this machine reaches it, "" when
    others do; then any ``Host`` will do, unless ``hosts`` are given. ``hosts`` and ``origins`` are allowed besides.
    """

    def __init__(
        self, tokens: Tokens | None = None, here: str = "", hosts: Sequence[str] = (), origins: Sequence[str] = ()
    ) -> None:
        self._tokens, self._here = tokens, here
        self._hosts = {host.lower() for host in hosts}
        self._origins = {origin.lower().rstrip("/") for origin in origins}

    def check(self, head: Head) -> None:
        """Note what the head's token may do (``granted``). Raises BadHead for a head that may not pass."""
        host = head.headers.get("host", "").lower()
        # A page that a browser shows can make it send requests here. It cannot forge these two headers: its own
        # origin is told with every POST, and a name that was pointed at this machine (DNS rebinding) stays in Host.
        if (self._here or self._hosts) and host and not self._known(host):
            raise BadHead(421, f"this server is not {printable(host)}; add the name to 'hosts' if it is")
        origin = head.headers.get("origin")
        if origin is not None and not self._same(origin.lower(), host):
            raise BadHead(403, "pages of other sites may not ask this server; add the page's origin to 'origins'")
        if self._tokens is None or head.target.partition("?")[0] in _OPEN:
            return
        token = bearer(head.headers.get("authorization", ""))
        if not token:
            raise BadHead(401, "a token is needed: Authorization: Bearer TOKEN", CHALLENGE % b"")
        roles = self._tokens.roles(token)
        if not roles:
            why = "this token is not known here: it was revoked, or is another server's; ask for a new one"
            raise BadHead(401, why, CHALLENGE % b', error="invalid_token"')
        head.memo[_GRANTED] = roles

    def _known(self, host: str) -> bool:
        name = _name(host)
        return name in self._hosts or (bool(self._here) and (name == self._here.lower() or loopback(name)))

    def _same(self, origin: str, host: str) -> bool:
        if origin.rstrip("/") in self._origins:
            return True
        try:
            return bool(host) and urlsplit(origin).netloc == host
        except ValueError:
            return False


def printable(text: str) -> str:
    """``text`` fit for a message: 60 characters at most."""
    return repr(text[:60])


def _name(host: str) -> str:
    """``Host`` without its port and brackets."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    name, colon, port = host.rpartition(":")
    return name if colon and port.isdigit() else host
