"""Tokens: who may ask for what. A file of their hashes, each with its roles."""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
import stat
from collections.abc import Sequence
from pathlib import Path

from edgewright.core.errors import InputError
from edgewright.core.files import write_file

ANY, INFER, READ, MANAGE = "", "infer", "read", "manage"
ROLES = {INFER: "run models", READ: "read statistics and metrics", MANAGE: "load and unload models"}
"""What each lets its owner do. Names, metadata and readiness of models are told to any token's owner (``ANY``)."""
_HASH = re.compile(r"[0-9a-f]{64}")
_MOST_BYTES = 1 << 20


class Tokens:
    """The tokens whose SHA-256 stand in a file, one a line in hexadecimal, followed by its roles; none are all. What
    follows a ``#`` is a note.

    A plain hash will do because a token has 256 random bits: there is nothing to guess. Raises InputError.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._seen = path, _stamp(path)
        self._known = _read(path)
        if not self._known:
            raise InputError(f"{path} holds no token; make one with --new-token {path}")

    def roles(self, token: str) -> frozenset[str]:
        """What ``token`` may do, nothing where it is none of them; takes equally long whichever it is."""
        found, granted = hashlib.sha256(token.encode("utf-8", "replace")).digest(), frozenset[str]()
        for one, roles in self._known:
            granted |= roles if hmac.compare_digest(one, found) else frozenset()
        return granted

    def counts(self) -> dict[str, int]:
        """How many tokens have each role."""
        return {role: sum(role in roles for _, roles in self._known) for role in ROLES}

    @property
    def empty(self) -> str:
        """What is wrong where there is no token any more, "" where there is one."""
        return "" if self._known else f"{self._path} {'is gone' if self._seen is None else 'holds no token'}"

    def refresh(self) -> bool:
        """Read the file anew if it was changed; whether it was. A file that is gone lets nobody in.

        Raises InputError for one that cannot be used: the tokens stay as they were.
        """
        seen = _stamp(self._path)
        if seen == self._seen:
            return False
        self._seen = seen
        self._known = () if seen is None else _read(self._path)
        return True


def bearer(told: str) -> str:
    """The token in an ``Authorization`` header, "" where there is none (RFC 6750, 2.1)."""
    scheme, _, token = told.partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def lacking(role: str, granted: frozenset[str]) -> str:
    """Why a token with the roles ``granted`` is refused what takes ``role``, and what to do."""
    has = " and ".join(ROLES[one] for one in ROLES if one in granted)
    return f"this token may {has}; to {ROLES[role]}, take one with the role {role!r} (--new-token FILE {role})"


def chosen(words: Sequence[str]) -> frozenset[str]:
    """Roles by name; none are all. Raises InputError."""
    for word in words:
        if word not in ROLES:
            raise InputError(f"{word[:60]!r} is no role of a token; there are: {', '.join(ROLES)}")
    return frozenset(words or ROLES)


def new_token(path: Path, roles: Sequence[str] = ()) -> str:
    """A new token with these roles (none are all), whose hash is added to the file, which only its owner may read. The
    token itself is kept nowhere.

    Raises InputError, StorageError.
    """
    chosen(roles)
    if path.exists():
        _read(path)
    before = path.read_bytes() if path.exists() else b""
    token = f"ew_{secrets.token_urlsafe(32)}"
    digest = hashlib.sha256(token.encode()).hexdigest()
    gap = "\n" if before and not before.endswith(b"\n") else ""
    write_file(path, before + f"{gap}{' '.join([digest, *dict.fromkeys(roles)])}\n".encode(), 0o600)
    return token


def _stamp(path: Path) -> tuple[int, ...] | None:
    try:
        told = path.stat()
    except OSError:
        return None
    return told.st_mtime_ns, told.st_size, told.st_ino, told.st_mode


def _read(path: Path) -> tuple[tuple[bytes, frozenset[str]], ...]:
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
        words = line.split("#")[0].split()
        if not words:
            continue
        if not _HASH.fullmatch(words[0]):
            raise InputError(f"line {number} of {path} does not begin with a SHA-256; make tokens with --new-token")
        try:
            found.append((bytes.fromhex(words[0]), chosen(words[1:])))
        except InputError as error:
            raise InputError(f"line {number} of {path}: {error}; a note begins with #") from error
    return tuple(found)
