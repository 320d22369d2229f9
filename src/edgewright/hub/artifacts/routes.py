"""Routes of artifacts."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from fastapi import Query, Request, Response
from fastapi.responses import StreamingResponse

from edgewright import __version__
from edgewright.core.errors import InputError
from edgewright.hub import library, plans
from edgewright.hub.accounts.access import Caller, actor_of, may
from edgewright.hub.accounts.audit import Actor, tell
from edgewright.hub.artifacts.keeping import KIND, find, same
from edgewright.hub.artifacts.kinds import BUNDLE, kind_of, kinds
from edgewright.hub.artifacts.links import check_link, link_end, link_key, moment
from edgewright.hub.artifacts.making import Made, make
from edgewright.hub.artifacts.tables import Artifact
from edgewright.hub.artifacts.told import ArtifactTold, Digest, Kind, Kinds, KindTold, Link, NewArtifact, NewLink
from edgewright.hub.database import Scoped
from edgewright.hub.errors import Conflict, Forbidden
from edgewright.hub.jobs.tables import Job
from edgewright.hub.objects import objects
from edgewright.hub.state import State, state_of
from edgewright.hub.web.bodies import Id, Router
from edgewright.hub.web.paging import Page, PageQuery, paged

PREFIX = "/api/edge/artifacts"
router = Router(prefix=PREFIX, tags=["artifacts"])
Reads = Annotated[Caller, may("bundles.read")]
Writes = Annotated[Caller, may("bundles.write")]
_OCTETS = "application/octet-stream"
_MOST_S = 253_402_300_799  # the last second that a date can be


@router.get("", response_model=Page[ArtifactTold])
def artifacts(
    caller: Reads, page: PageQuery,
    bundle: Annotated[Digest | None, Query(description="made of this bundle")] = None, kind: Kind | None = None,
) -> Response:  # fmt: skip
    """The tenant's artifacts, newest first."""
    where = [Artifact.until > caller.now]
    where += [] if bundle is None else [Artifact.bundle == bundle]
    where += [] if kind is None else [Artifact.kind == kind]
    return paged(caller.look, ArtifactTold, Artifact.id, page, *where, newest_first=True)


@router.get("/kinds")
def catalogue(caller: Reads) -> Kinds:
    """What can be made: what each needs, what of it was verified, and how large the platform lets it be. The same as
    `edgewright export --list`."""
    return Kinds(items=[KindTold.model_validate(one) for one in kinds()])


@router.post(
    "", status_code=201, responses={200: {"model": ArtifactTold, "description": "It is there, and kept longer"}}
)
def add(body: NewArtifact, response: Response, caller: Writes) -> ArtifactTold:
    """Make an artifact: of a bundle as `edgewright export` makes it, the bundle verified first. What is there already
    is answered with 200 and kept for as long as is asked now."""
    kind, of = kind_of(body.kind), (body.bundle or "", body.job or "")
    if bool(of[0]) != (kind["of"] == "bundle") or bool(of[1]) != (kind["of"] == "job"):
        raise InputError(f"{body.kind!r} is made of a {kind['of']}; name that, and nothing else")
    with caller.read() as session:
        _check_source(session, of)
        there = same(session, body.kind, of, __version__, caller.now) is not None
        if not there:  # before anything is stored; again with its length once that is known
            plans.check(session, caller.now, "storage_bytes", 0 if body.kind == BUNDLE else 1)
    made = None if there else make(caller.state, caller.tenant, kind, *of)
    with caller.write() as session:
        row, new = _entered(caller, session, body, of, made)
        response.status_code = 201 if new else 200
        return caller.reply(session, ArtifactTold.of(row), response.status_code)


@router.get("/{artifact}")
def show(artifact: Id, caller: Reads) -> ArtifactTold:
    """One artifact."""
    with caller.read() as session:
        return ArtifactTold.of(find(session, artifact, caller.now))


@router.post("/{artifact}/link", status_code=201)
def link(artifact: Id, body: NewLink, request: Request, caller: Reads) -> Link:
    """An address from which anybody can download it for a while, without a credential. It cannot be taken back, but by
    removing the artifact."""
    with caller.write() as session:
        row = find(session, artifact, caller.now)
        until = link_end(caller.now + timedelta(hours=body.hours), row.until)
        base = caller.state.public_url or str(request.base_url).rstrip("/")
        key = link_key(caller.state, caller.tenant, artifact, until)
        told = Link(url=f"{base}{PREFIX}/{artifact}/download?until={until}&key={key}", until=moment(until))
        caller.tell(session, "artifact.linked", artifact, {"until": until})
        return caller.reply(session, told, 201)


@router.get(
    "/{artifact}/download",
    response_class=StreamingResponse,
    responses={200: {"content": {_OCTETS: {"schema": {"type": "string", "format": "binary"}}}}},
    openapi_extra={"security": [{}]},
)
def download(
    artifact: Id, request: Request, caller: Annotated[Caller | None, may("bundles.read", unless="key")],
    until: Annotated[int, Query(ge=0, le=_MOST_S, description="of a link")] = 0,
    key: Annotated[str | None, Query(max_length=200, description="of a link: it stands for a credential")] = None,
) -> StreamingResponse:  # fmt: skip
    """An artifact's file. By a credential, or by a link as `POST /api/edge/artifacts/{artifact}/link` makes them."""
    state = state_of(request)
    if caller is not None:
        with caller.read() as session:
            return _file(state, find(session, artifact, caller.now))
    actor = actor_of(request)
    try:
        tenant = check_link(state, artifact, until, key or "")
    except Forbidden:
        state.tries.take(actor.network)
        raise
    state.rates.take(artifact)
    with state.database.write(tenant) as session:
        row = find(session, artifact, state.clock())
        who = Actor("link", artifact, "whoever has a link", "", actor.network, actor.request)
        tell(session, who, "artifact.fetched", artifact, state.clock(), {"kind": row.kind, "until": until})
        return _file(state, row)


@router.delete("/{artifact}", status_code=204)
def remove(artifact: Id, caller: Writes) -> None:
    """Remove an artifact before it expires; its links end with it."""
    with caller.write() as session:
        row = find(session, artifact, caller.now)
        session.delete(row)
        caller.tell(session, "artifact.removed", artifact, {"kind": row.kind, "bundle": row.bundle, "job": row.job})


def _check_source(session: Scoped, of: tuple[str, str]) -> None:
    """Raises Absent when the bundle or the job is not there, or was removed."""
    if of[0]:
        library.find(session, of[0])
    else:
        session.find(Job, of[1])


def _entered(
    caller: Caller, session: Scoped, body: NewArtifact, of: tuple[str, str], made: Made | None
) -> tuple[Artifact, bool]:
    """Its row, and whether it is new: somebody else may have been first."""
    session.take_turn("artifacts")
    _check_source(session, of)
    until = caller.now + timedelta(days=body.days)
    row = same(session, body.kind, of, __version__, caller.now)
    if row is not None:
        row.until = max(row.until, until)
        return row, False
    if made is None:
        raise Conflict("the artifact was removed at this moment; ask for it once more")
    if made.object.startswith(f"{KIND}/"):
        plans.check(session, caller.now, "storage_bytes", made.length)
    row = Artifact(
        kind=body.kind, bundle=of[0], job=of[1], release=__version__, by=caller.user, made=caller.now, until=until,
        **vars(made),
    )  # fmt: skip
    session.add(row)
    session.flush()
    caller.tell(session, "artifact.made", row.id, {"kind": row.kind, "bundle": row.bundle, "job": row.job})
    return row, True


def _file(state: State, row: Artifact) -> StreamingResponse:
    headers = {
        "Content-Length": str(row.length), "Content-Disposition": f'attachment; filename="{row.filename}"',
        "ETag": f'"{row.object.partition("/")[2]}"', "Cache-Control": "private, no-store",
    }  # fmt: skip
    pieces = objects(state).pieces(row.tenant, row.object, 0, row.length)
    return StreamingResponse(pieces, media_type=_OCTETS, headers=headers)
