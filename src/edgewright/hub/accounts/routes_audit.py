"""Routes of the audit log."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Annotated, Any

from fastapi import Response
from fastapi.responses import StreamingResponse

from edgewright.core.digests import canonical_json
from edgewright.hub.accounts.access import Caller, may
from edgewright.hub.accounts.audit import lines
from edgewright.hub.accounts.heads import signed_head
from edgewright.hub.accounts.tables import Entry
from edgewright.hub.web.bodies import Answer, Router, Told
from edgewright.hub.web.paging import Page, PageQuery, paged
from edgewright.hub.web.reading import Ready
from edgewright.hub.web.short import brief

router = Router(prefix="/api/edge/audit", tags=["audit"])
Reads = Annotated[Caller, may("audit.read")]


class Line(Told):
    """A line of the log: who (``actor``) did what (``action``) to what (``subject``), and its digest in the chain."""

    number: int
    at: str
    actor: dict[str, Any]
    action: str
    subject: str
    detail: dict[str, Any]
    request: str
    digest: str

    @classmethod
    def adapt(cls, row: dict[str, Any]) -> dict[str, Any]:
        """Who and what are kept as canonical JSON: told as it is."""
        row["actor"], row["detail"] = Ready(row["actor"]), Ready(row["detail"])
        return row


class SignedHead(Answer):
    """The head of the log, and the hub's signature over ``head`` as canonical JSON. Keep it elsewhere: a log that is
    rewritten or cut later does not agree with it. ``key`` is the public key's file."""

    head: dict[str, Any]
    signature: dict[str, Any]
    key: str


@router.get("", response_model=Page[Line])
@brief
def log(caller: Reads, page: PageQuery) -> Response:
    """The log, newest first."""
    return paged(caller.look, Line, Entry.number, page, newest_first=True)


@router.get("/head")
def head(caller: Reads) -> SignedHead:
    """The log's head as it is now, signed."""
    with caller.read() as session:
        data, signature = signed_head(session, caller.state.key, caller.now)
    return SignedHead(head=json.loads(data), signature=json.loads(signature), key=caller.state.key.public.text())


@router.get(
    "/export",
    response_class=StreamingResponse,
    responses={200: {"content": {"application/x-ndjson": {"schema": {"type": "string"}}}}},
)
def export(caller: Reads) -> StreamingResponse:
    """The whole log, oldest first, one JSON line each; `edgewright audit verify` holds it against its signed heads."""

    def told() -> Iterator[bytes]:
        for one in lines(caller.state.database, caller.tenant):
            yield canonical_json(one) + b"\n"

    return StreamingResponse(told(), media_type="application/x-ndjson")
