"""Uploads: logs and bundles of diagnostics that devices were asked for, as files of the hub; the last few of each."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from edgewright.core.files import read_file, storage, write_file
from edgewright.hub.errors import Absent
from edgewright.hub.state import State

MOST_BYTES = 4 * 2**20
KINDS = ("log", "diagnostics")
_KEPT = 5
_NAME = re.compile(r"(log|diagnostics)-([0-9]{1,16})")


@dataclass(frozen=True)
class Upload:
    """``number``: the request that it answers."""

    kind: str
    number: int
    size_bytes: int
    at: datetime


def keep(state: State, tenant: str, device: str, kind: str, number: int, data: bytes) -> None:
    """Keep it, whole or not at all, and the last five of its kind. Raises StorageError."""
    folder = _folder(state, tenant, device)
    write_file(folder / f"{kind}-{number}", data, mode=0o600)
    with storage(folder):
        for old in [one for one in uploads(state, tenant, device) if one.kind == kind][_KEPT:]:
            (folder / f"{old.kind}-{old.number}").unlink(missing_ok=True)


def uploads(state: State, tenant: str, device: str) -> list[Upload]:
    """What there is of a device, the newest first."""
    folder = _folder(state, tenant, device)
    found = []
    for path in folder.iterdir() if folder.is_dir() else ():
        if (name := _NAME.fullmatch(path.name)) is not None:
            facts = path.stat()
            at = datetime.fromtimestamp(facts.st_mtime, UTC)
            found.append(Upload(name[1], int(name[2]), facts.st_size, at))
    return sorted(found, key=lambda one: (one.kind, -one.number))


def read(state: State, tenant: str, device: str, kind: str, number: int) -> bytes:
    """One of them. Raises Absent."""
    path = _folder(state, tenant, device) / f"{kind}-{number}"
    if kind not in KINDS or not path.is_file():
        raise Absent(f"there is no {kind[:20]} number {number} of {device[:60]!r}")
    return read_file(path, MOST_BYTES)


def _folder(state: State, tenant: str, device: str) -> Path:
    return state.folder / "uploads" / tenant / device  # both are words: they cannot leave the folder
