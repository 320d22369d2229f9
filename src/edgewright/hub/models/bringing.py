"""Bringing: a version that the hub made itself comes in like an upload, and is checked like one."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgewright.core.files import storage
from edgewright.hub import plans
from edgewright.hub.accounts.access import Caller
from edgewright.hub.models.checking import checker
from edgewright.hub.models.entering import enter
from edgewright.hub.models.keeping import made_by
from edgewright.hub.models.tables import Part, Upload, Version
from edgewright.hub.models.uploads import KEPT
from edgewright.hub.objects import expect, object_name, objects


def bring(caller: Caller, model: str, path: Path, filename: str, wish: Mapping[str, Any]) -> tuple[Version, bool]:
    """The file at ``path`` as a new version of that model, and whether it is new: of a ``job`` there is one, whoever
    was first. ``wish``: what else is known of it (``parent``, ``job``, ``stage``). Raises Absent, Spent,
    StorageError."""
    state = caller.state
    with storage(path), path.open("rb") as stream:
        digest, length = hashlib.file_digest(stream, "sha256").hexdigest(), path.stat().st_size
    name = object_name("parts", digest)
    expect(state, caller.tenant, name)
    objects(state).put(caller.tenant, name, path)
    with caller.write() as session:
        if "job" in wish:
            session.take_turn(f"versions/{wish['job']}")
            there = made_by(session, wish["job"])
            if there is not None:
                return there, False
        plans.check(session, caller.now, "storage_bytes", length)
        upload = Upload(
            kind="model", of=model, wish=dict(wish), filename=filename, length=length, offset=length, sha256=digest,
            by=caller.user, made=caller.now, until=caller.now + KEPT,
        )  # fmt: skip
        session.add(upload)
        session.flush()
        session.add(Part(upload=upload.id, start=0, length=length, object=name))
        enter(session, caller, upload)
        row = session.find(Version, upload.result)
    checker(state).start()
    return row, True
