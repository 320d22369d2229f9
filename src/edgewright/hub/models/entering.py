"""Entering: an upload that is whole becomes a version or a data set, which is then checked."""

from __future__ import annotations

from edgewright.hub.accounts.access import Caller
from edgewright.hub.database import Scoped
from edgewright.hub.ids import new_id
from edgewright.hub.models.tables import Dataset, Model, Upload, Version


def enter(session: Scoped, caller: Caller, upload: Upload) -> None:
    """Make the row that the upload is for; whoever checks takes it from there. Raises Absent when its model is gone."""
    now = caller.now
    common = {
        "filename": upload.filename, "length": upload.length, "upload": upload.id, "by": caller.user, "made": now,
        "until": now,
    }  # fmt: skip
    row: Version | Dataset
    if upload.kind == "model":
        model = session.lock(Model, upload.of)
        model.numbers += 1
        model.count += 1
        row = Version(id=new_id("ver"), model=model.id, number=model.numbers, **upload.wish, **common)
        model.newest = row.id
    else:
        row = Dataset(**upload.wish, **common)
    session.add(row)
    session.flush()
    upload.result = row.id
    told = {"name": upload.filename, "bytes": upload.length, "upload": upload.id}
    caller.tell(session, f"{upload.kind}.uploaded", row.id, told)
