"""Making: an artifact from what it is made of to its bytes in the store. No row names them yet."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgewright.core.files import scratch, storage
from edgewright.exports.making import zipped
from edgewright.hub import library
from edgewright.hub.artifacts.exporting import BUNDLE as PACKED
from edgewright.hub.artifacts.exporting import OUT, exported
from edgewright.hub.artifacts.keeping import KIND
from edgewright.hub.artifacts.kinds import BUNDLE, REPORT
from edgewright.hub.errors import Conflict
from edgewright.hub.jobs.tables import Job
from edgewright.hub.library.tables import Bundle
from edgewright.hub.objects import expect, object_name, objects, work_folder
from edgewright.hub.state import State
from edgewright.hub.turns import Turns
from edgewright.trust import PublicKey

_AT_ONCE = 2  # each child may hold a bundle in memory
_REPORT_BYTES = 2**26


@dataclass(frozen=True)
class Made:
    """What the row will hold: its names, the ``object`` with its ``length`` bytes, ``facts``."""

    name: str
    version: str
    filename: str
    object: str
    length: int
    facts: dict[str, Any]


def make(state: State, tenant: str, kind: dict[str, Any], bundle: str, job: str) -> Made:
    """The artifact of ``kind`` of that bundle (by digest) or job. Raises Absent, Conflict for a job without a report,
    InputError for a bundle that it cannot be made of, TrustError, StorageError."""
    if kind["kind"] == REPORT:
        return _report(state, tenant, job)
    with state.database.read(tenant) as session:
        row = library.find(session, bundle)
    if kind["kind"] == BUNDLE:
        return _whole(state, tenant, row)
    turns = state.part("artifacts.exporting", lambda: Turns(_AT_ONCE, 6, 3))
    with turns.turn(tenant, "other exports are being made"):
        return _exported(state, tenant, kind, row)


def _exported(state: State, tenant: str, kind: dict[str, Any], row: Bundle) -> Made:
    with scratch("export", work_folder(state)) as folder:
        _write(folder / PACKED, library.open_file(state, tenant, row.file).pieces())
        told = exported(folder, kind["kind"], PublicKey(bytes.fromhex(row.signer)))
        name, length = _stored(state, tenant, folder / OUT)
    limit = kind["limit"]
    fits = limit is None or told["size_bytes"] <= limit["size_bytes"]
    filename = f"{row.name}-{row.version}-{kind['kind']}.zip"
    return Made(row.name, row.version, filename, name, length, {**told, "fits": fits, **_standing(kind)})


def _whole(state: State, tenant: str, row: Bundle) -> Made:
    """The library's own object: nothing is stored twice. It stays while an artifact names it."""
    name = object_name("bundles", row.file)
    expect(state, tenant, name)  # before the bundle is looked for again, with the artifact's row
    facts = {"files": 1, "size_bytes": row.length, "fits": True, "verified": True, "limit": None}
    return Made(row.name, row.version, f"{row.name}-{row.version}.ewb", name, row.length, facts)


def _report(state: State, tenant: str, job: str) -> Made:
    with state.database.read(tenant) as session:
        row = session.find(Job, job)
    if not row.report or not row.page:
        raise Conflict(f"job {job!r} has no report yet; it comes when the job is done")
    files = {}
    for file, place in (("report.json", row.report), ("report.html", row.page)):
        files[file] = objects(state).whole(tenant, f"reports/{place.partition('/')[0]}", _REPORT_BYTES)
    with scratch("report", work_folder(state)) as folder:
        _write(folder / OUT, (zipped(files),))
        name, length = _stored(state, tenant, folder / OUT)
    size = sum(map(len, files.values()))
    facts = {"files": len(files), "size_bytes": size, "fits": True, "verified": True, "limit": None}
    return Made(str(row.wish.get("name", "")), "", f"report-{job[4:]}.zip", name, length, facts)


def _standing(kind: dict[str, Any]) -> dict[str, Any]:
    return {"verified": kind["verified"], "limit": kind["limit"]}


def _write(path: Path, pieces: Iterable[bytes]) -> None:
    with storage(path), path.open("xb") as made:
        for piece in pieces:
            made.write(piece)


def _stored(state: State, tenant: str, path: Path) -> tuple[str, int]:
    """The file in the store: the object's name, and its bytes."""
    with storage(path), path.open("rb") as stream:
        digest, length = hashlib.file_digest(stream, "sha256").hexdigest(), path.stat().st_size
    name = object_name(KIND, digest)
    expect(state, tenant, name)
    objects(state).put(tenant, name, path)
    return name, length
