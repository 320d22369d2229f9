"""The hub's CA, and the certificate of its device listener: files that all workers of a machine share."""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from cryptography import x509

from edgewright.core.files import storage
from edgewright.hub.state import State
from edgewright.trust.authority import Authority, parse_chain, write_private
from edgewright.trust.authority.certificates import SERVER_LIFE
from edgewright.trust.private import make_folder, read_private

FOLDER = "authority"
_SERVER = "server.pem"


@dataclass
class Held:
    """The CA as it was read last, and the file's state at that time."""

    authority: Authority | None = None
    stamp: tuple[int, int] = (0, 0)
    lock: threading.Lock = field(default_factory=threading.Lock)


def authority(state: State) -> Authority:
    """The CA in STATE.folder/authority, made at the first start; read again when another process changed it.

    Raises TrustError, StorageError."""
    held = state.part("authority", Held)
    folder = state.folder / FOLDER
    path = folder / "authority.json"
    with held.lock:
        if not path.exists():
            with _alone(folder):
                if not path.exists():
                    Authority.create(folder, state.clock())
        facts = path.stat()
        stamp = (facts.st_mtime_ns, facts.st_ino)
        if held.authority is None or held.stamp != stamp:
            held.authority, held.stamp = Authority.load(folder), stamp
        return held.authority


def server_identity(state: State, names: Sequence[str], now: datetime, file: str = _SERVER) -> Path:
    """The file with a listener's key and chain; another one is issued where there is none, where it has other names,
    stands below what no longer issues, or is past two thirds of its life. Raises InputError, TrustError."""
    ours = authority(state)
    path = state.folder / FOLDER / file
    if not _holds(path, ours, names, now):
        with _alone(path.parent):
            if not _holds(path, ours, names, now):
                write_private(path, ours.issue_server(names, now).pem)
    return path


def renew_ca(state: State) -> bool:
    """Rotate what is past two thirds of its life: a new root is announced beside the old one, a new issuing certificate
    signs from now on, and what older ones signed stays good. Whether anything changed."""
    now = state.clock()
    if not authority(state).due(now):
        return False
    with _alone(state.folder / FOLDER):
        made = Authority.load(state.folder / FOLDER)
        due = made.due(now)
        if "root" in due:
            made = made.announce_root(now)
        if due:
            made.rotate_issuing(now)
    return bool(due)


def _holds(path: Path, ours: Authority, names: Sequence[str], now: datetime) -> bool:
    if not path.exists():
        return False
    leaf, issuer = parse_chain(read_private(path), str(path))[:2]
    told = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    found = {str(name.value) for name in told}
    # Server certificates begin in 1970: their age is known from their end.
    fresh = now < leaf.not_valid_after_utc - SERVER_LIFE / 3
    return fresh and found == set(names) and issuer == ours.issuing[-1]


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One process at a time; the lock dies with its holder."""
    make_folder(folder)
    with storage(folder):
        handle = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
