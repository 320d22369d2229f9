"""Routes of versions."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query
from fastapi.responses import StreamingResponse
from sqlalchemy import select

from edgewright.core.strict import parse_json
from edgewright.hub.accounts.access import Caller, may
from edgewright.hub.errors import Absent
from edgewright.hub.models.comparing import compared
from edgewright.hub.models.downloads import OCTETS, download
from edgewright.hub.models.keeping import check_read, remove_version
from edgewright.hub.models.rules import check_stage
from edgewright.hub.models.tables import Version
from edgewright.hub.models.told import Comparison, Layers, Lineage, Row, VersionChange, VersionTold
from edgewright.hub.objects import objects
from edgewright.hub.web.bodies import Id, Router

router = Router(prefix="/api/edge/versions", tags=["models"])
Reads = Annotated[Caller, may("models.read")]
Writes = Annotated[Caller, may("models.write")]
_MOST = 200
_LAYERS_BYTES = 16 * 2**20
_SHOWN = ("format", "length", "signature", "facts", "stage", "filename")


@router.get("/compare")
def compare(of: Annotated[list[Id], Query(min_length=2, max_length=8)], caller: Reads) -> Comparison:
    """Two to eight versions side by side, of one model or of several."""
    with caller.read() as session:
        told = [VersionTold.of(session.find(Version, version)) for version in of]
    shown = [one.model_dump(mode="json", include=set(_SHOWN)) for one in told]
    return Comparison(versions=told, rows=[Row(what=w, values=v, same=s) for w, v, s in compared(shown)])


@router.get("/{version}")
def show(version: Id, caller: Reads) -> VersionTold:
    """One version."""
    with caller.read() as session:
        return VersionTold.of(session.find(Version, version))


@router.patch("/{version}")
def change(version: Id, body: VersionChange, caller: Writes) -> VersionTold:
    """Take it a step further, retire it, or write a note."""
    with caller.write() as session:
        row = session.lock(Version, version)
        if body.stage is not None:
            row.stage = check_stage(row.stage, body.stage, row.state)
        if body.note is not None:
            row.note = body.note
        caller.tell(session, "version.changed", row.id, {"stage": row.stage})
        return caller.reply(session, VersionTold.of(row))


@router.delete("/{version}", status_code=204)
def remove(version: Id, caller: Writes) -> None:
    """Remove a version that no job still needs. Bundles that were made of it stay."""
    with caller.write() as session:
        row = session.lock(Version, version)
        remove_version(session, row)
        caller.tell(session, "version.removed", version, {"model": row.model, "number": row.number, "file": row.file})


@router.get("/{version}/lineage")
def lineage(version: Id, caller: Reads) -> Lineage:
    """What it was made of, and what was made of it."""
    with caller.read() as session:
        row = session.find(Version, version)
        before, at = list[Version](), row
        while at.parent and len(before) < _MOST and at.parent not in {one.id for one in (row, *before)}:
            try:
                at = session.find(Version, at.parent)
            except Absent:
                break
            before.append(at)
        query = select(Version).where(Version.parent == row.id).order_by(Version.id.desc()).limit(_MOST)
        after = session.scalars(query).all()
        return Lineage(
            version=VersionTold.of(row),
            before=list(map(VersionTold.of, before)),
            after=list(map(VersionTold.of, after)),
        )


@router.get("/{version}/graph")
def graph(version: Id, caller: Reads) -> Layers:
    """A version's layers with their sizes and costs."""
    with caller.read() as session:
        row = session.find(Version, version)
        check_read(row)
    data = objects(caller.state).whole(caller.tenant, f"models/{row.graph}", _LAYERS_BYTES)
    return Layers(layers=parse_json(data, _LAYERS_BYTES))


@router.get(
    "/{version}/download",
    response_class=StreamingResponse,
    responses={200: {"content": {OCTETS: {"schema": {"type": "string", "format": "binary"}}}}},
)
def file(version: Id, caller: Reads) -> StreamingResponse:
    """The file as it was uploaded."""
    with caller.read() as session:
        return download(caller, session.find(Version, version))
