"""Access: who may ask. Tokens, the names a server goes by, and pages in browsers.

Asked once per new request head; what it lets pass is remembered with the head's bytes (``lanes/http.py``) until the
tokens change.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import os
import re
import secrets
import stat
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from edgewright.core.errors import InputError
from edgewright.core.files import write_file
from edgewright.runtime.lanes.http import BadHead, Head

_OPEN = ("/v2/health/live", "/v2/health/ready")
"""Paths that need no token: they tell nothing, and whoever looks after the machine asks them."""
_HASH = re.compile(r"[0-9a-f]{64}")
_MOST_BYTES = 1 << 20
_CHALLENGE = b'WWW-Authenticate: Bearer realm="edgewright"%b\r\n'
"""RFC 6750, section 3."""


class Tokens:
    """The tokens whose SHA-256 stand in a file, one a line in hexadecimal; what follows it on the line is a note.

    A plain hash will do because a token has 256 random bits: there is nothing to guess. Raises InputError.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._seen = path, _stamp(path)
        self._hashes = _read(path)
        if not self._hashes:
            raise InputError(f"{path} holds no token; make one with --new-token {path}")

    def knows(self, token: str) -> bool:
        """Whether ``token`` is one of them; takes equally long whichever it is."""
        found = hashlib.sha256(token.encode("utf-8", "replace")).digest()
        known = False
        for one in self._hashes:
            known |= hmac.compare_digest(one, found)
        return known

    def refresh(self) -> bool:
        """Read the file anew if it was changed; whether it was. A file that is gone lets nobody in.

        Raises InputError for one that cannot be used: the tokens stay as they were.
        """
        seen = _stamp(self._path)
        if seen == self._seen:
            return False
        self._seen = seen
        self._hashes = () if seen is None else _read(self._path)
        return True


def _stamp(path: Path) -> tuple[int, ...] | None:
    try:
        told = path.stat()
    except OSError:
        return None
    return told.st_mtime_ns, told.st_size, told.st_ino, told.st_mode


def _read(path: Path) -> tuple[bytes, ...]:
    try:
        with path.open("rb") as stream:
            mode = os.fstat(stream.fileno()).st_mode
            raw = stream.read(_MOST_BYTES + 1)
    except OSError as error:
        raise InputError(f"cannot read the tokens in {path}: {error.strerror}") from error
    if not stat.S_ISREG(mode) or mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise InputError(f"others may write {path}, and so let themselves in; run: chmod 600 {path}")
    if len(raw) > _MOST_BYTES:
        raise InputError(f"{path} is no file of tokens: it has more than {_MOST_BYTES:,} bytes")
    found = []
    for number, line in enumerate(raw.decode("utf-8", "replace").splitlines(), 1):
        word = line.split("#")[0].split()[:1]
        if word and not _HASH.fullmatch(word[0]):
            raise InputError(f"line {number} of {path} does not begin with a SHA-256; make tokens with --new-token")
        found += [bytes.fromhex(w) for w in word]
    return tuple(found)


def new_token(path: Path) -> str:
    """A new token, whose hash is added to the file, which only its owner may read. The token itself is kept nowhere.

    Raises InputError, StorageError.
    """
    if path.exists():
        _read(path)
    before = path.read_bytes() if path.exists() else b""
    token = f"ew_{secrets.token_urlsafe(32)}"
    digest = hashlib.sha256(token.encode()).hexdigest()
    gap = b"\n" if before and not before.endswith(b"\n") else b""
    write_file(path, before + gap + f"{digest}\n".encode(), 0o600)
    return token


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
        """Raises BadHead for a head that may not pass."""
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
        scheme, _, token = head.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise BadHead(401, "a token is needed: Authorization: Bearer TOKEN", _CHALLENGE % b"")
        if not self._tokens.knows(token.strip()):
            why = "this token is not known here: it was revoked, or is another server's; ask for a new one"
            raise BadHead(401, why, _CHALLENGE % b', error="invalid_token"')

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


def loopback(name: str) -> bool:
    """Whether a host's name or address means this machine, whatever a name server says."""
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _name(host: str) -> str:
    """``Host`` without its port and brackets."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    name, colon, port = host.rpartition(":")
    return name if colon and port.isdigit() else host
