"""Routes of bundles."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Query, Request, Response
from fastapi.responses import StreamingResponse
from starlette.concurrency import run_in_threadpool

from edgewright.hub import plans
from edgewright.hub.accounts.access import Caller, may
from edgewright.hub.library import bundles
from edgewright.hub.library.bundles import Arrived
from edgewright.hub.library.files import open_file
from edgewright.hub.library.proposals import withdraw
from edgewright.hub.library.tables import Bundle
from edgewright.hub.library.told import BundleTold, Digest
from edgewright.hub.library.uploads import received, verifying
from edgewright.hub.web.bodies import Router
from edgewright.hub.web.paging import Page, PageQuery, paged
from edgewright.trust import PublicKey

PREFIX = "/api/edge/bundles"
router = Router(prefix=PREFIX, tags=["bundles"])
Reads = Annotated[Caller, may("bundles.read")]
Writes = Annotated[Caller, may("bundles.write")]
_OCTETS = "application/octet-stream"
_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {_OCTETS: {"schema": {"type": "string", "format": "binary", "examples": ["the packed bundle"]}}},
    }
}


@router.post(
    "", status_code=201, openapi_extra=_BODY, responses={200: {"model": BundleTold, "description": "It is there"}}
)
async def upload(
    request: Request,
    response: Response,
    caller: Annotated[Caller, may("bundles.write", streamed=True)],
    signer: Annotated[
        str, Query(pattern="^[0-9a-f]{64}$", description="the public key, 32 bytes, of who sealed the bundle")
    ],
) -> BundleTold:
    """Upload a packed bundle (`edgewright bundle pack`): the body is its file, of at most 2 GiB. It is verified, and
    nothing of it is kept unless it holds. The same bundle again is answered with 200."""
    async with received(request, caller.state, caller.tenant) as arrived:
        told, new = await run_in_threadpool(_take_in, caller.of_body(arrived.sha256), arrived, signer)
    if not new:
        response.status_code = 200
    return told


@router.get("", response_model=Page[BundleTold])
def bundle_list(
    caller: Reads, page: PageQuery, name: Annotated[str | None, Query(max_length=64)] = None,
    source: Digest | None = None,
) -> Response:  # fmt: skip
    """The tenant's bundles, newest first; `name`: those of that name; `source`: made of the model with this digest."""
    where = [] if name is None else [Bundle.name == name.replace("\0", "")]
    where += [] if source is None else [Bundle.source == source]
    return paged(caller.look, BundleTold, Bundle.id, page, *where, newest_first=True)


@router.get("/{digest}")
def show(digest: Digest, caller: Reads) -> BundleTold:
    """One bundle."""
    with caller.read() as session:
        return BundleTold.of(bundles.find(session, digest))


@router.get(
    "/{digest}/download",
    response_class=StreamingResponse,
    responses={200: {"content": {_OCTETS: {"schema": {"type": "string", "format": "binary"}}}}},
)
def download(digest: Digest, caller: Reads) -> StreamingResponse:
    """The bundle's single file."""
    with caller.read() as session:
        row = bundles.find(session, digest)
    file = open_file(caller.state, caller.tenant, row.file)
    headers = {
        "Content-Length": str(file.length),
        "Content-Disposition": f'attachment; filename="{row.name}-{row.version}.ewb"',
        "ETag": f'"{row.file}"',
    }
    return StreamingResponse(file.pieces(), media_type=_OCTETS, headers=headers)


@router.delete("/{digest}", status_code=204)
def remove(digest: Digest, caller: Writes) -> None:
    """Remove a bundle that no rollout needs and that devices may not run. (A development tenant's is withdrawn.)"""
    with caller.write() as session:
        bundles.lock(session)
        row = bundles.find(session, digest)
        if row.released:
            withdraw(session, caller.state, row, caller.now)
        bundles.remove(session, row)
        caller.tell(session, "bundle.removed", digest, {"name": row.name, "version": row.version})


def _take_in(caller: Caller, arrived: Arrived, signer: str) -> tuple[BundleTold, bool]:
    """Verified, stored, entered; what it is and whether it is new."""
    state, key = caller.state, PublicKey(bytes.fromhex(signer))
    with verifying(state, caller.tenant):
        facts = bundles.inspect(state, caller.tenant, arrived, key)
    if facts is not None:
        with caller.read() as session:
            plans.check(session, caller.now, "storage_bytes", arrived.length)
        bundles.keep(state, caller.tenant, arrived)
    with caller.write() as session:
        if facts is None:
            row, new = bundles.same(session, arrived), False
        else:
            plans.check(session, caller.now, "storage_bytes", arrived.length)
            row, new = bundles.enter(session, arrived, facts, key, caller.now)
        if new:
            told = {"name": row.name, "version": row.version, "file": row.file, "signer": row.signer}
            caller.tell(session, "bundle.uploaded", row.digest, told)
        return caller.reply(session, BundleTold.of(row), 201 if new else 200), new
